// Boxes, and the map from a network's input pixels back to the picture. Pixel centres lie at integers everywhere.
#pragma once

namespace leanpose {

struct Point {
    double x, y;
};

// Corners in picture pixels, x0 < x1 and y0 < y1.
struct Box {
    double x0, y0, x1, y1;
};

// Input pixel (u, v) -> picture (x, y); the six numbers are the rows of a 2x3 matrix.
struct Affine {
    double xu, xv, xc;
    double yu, yv, yc;

    constexpr Point operator()(double u, double v) const {
        return {xu * u + xv * v + xc, yu * u + yv * v + yc};
    }
};

// How the input's pixels share out the length of the crop (Huang et al., "The Devil is in the Details:
// Delving into Unbiased Data Processing for Human Pose Estimation", CVPR 2020).
enum class Transform {
    plain,  // one step is length / pixels
    udp,    // one step is length / (pixels - 1): the first and the last pixel centre lie on the crop's edges
};

// The transform of the crop around `box`: the box is scaled by `padding` about its centre, then its shorter side (with
// respect to the input's shape) grows about the centre until the crop has the input's aspect ratio.
// Needs sizes >= 1, or >= 2 for Transform::udp, and padding > 0.
constexpr Affine crop_transform(const Box& box, int input_width, int input_height, double padding,
                                Transform transform) {
    double width = (box.x1 - box.x0) * padding;
    double height = (box.y1 - box.y0) * padding;
    const double aspect = static_cast<double>(input_width) / input_height;
    if (width > height * aspect) {
        height = width / aspect;
    } else {
        width = height * aspect;
    }
    const double left = 0.5 * (box.x0 + box.x1) - 0.5 * width;
    const double top = 0.5 * (box.y0 + box.y1) - 0.5 * height;
    const int shared_edge = transform == Transform::udp ? 1 : 0;
    return {width / (input_width - shared_edge), 0.0, left, 0.0, height / (input_height - shared_edge), top};
}

}  // namespace leanpose
