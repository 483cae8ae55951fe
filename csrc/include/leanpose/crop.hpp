// One pass from an interleaved 8-bit picture to a normalised planar float crop, with no picture in between.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "leanpose/geometry.hpp"

namespace leanpose {

// Interleaved BGR, three bytes a pixel; rows may be padded, or run upwards with a negative stride.
struct ImageView {
    const std::uint8_t* data;
    int width, height;
    std::ptrdiff_t row_stride;  // bytes
};

enum class ColorOrder { rgb, bgr };

// What a network takes in: (sample - mean) / std as planes of `height` rows of `width` floats.
struct CropFormat {
    int width, height;
    std::array<double, 3> mean, std;  // 0..255, in the output's channel order
    ColorOrder color;
    std::array<double, 3> border;  // BGR, 0..255: the colour outside the picture
};

namespace detail {

// Normalisation and destination of one channel of the picture.
struct Channel {
    float scale, bias, border;
    float* plane;
};

inline float lerp(float a, float b, float t) {
    return a + t * (b - a);
}

// All four neighbours of (x, y) lie in the picture.
inline void sample_interior(const ImageView& image, double x, double y, const std::array<Channel, 3>& channels,
                            std::ptrdiff_t offset) {
    const int column = static_cast<int>(x);
    const int row = static_cast<int>(y);
    const float fx = static_cast<float>(x - column);
    const float fy = static_cast<float>(y - row);
    const std::uint8_t* top = image.data + row * image.row_stride + std::ptrdiff_t{3} * column;
    const std::uint8_t* bottom = top + image.row_stride;
    for (std::size_t c = 0; c < 3; ++c) {
        const float value = lerp(lerp(top[c], top[c + 3], fx), lerp(bottom[c], bottom[c + 3], fx), fy);
        channels[c].plane[offset] = value * channels[c].scale + channels[c].bias;
    }
}

// Any (x, y), even NaN or infinite: a neighbour outside the picture has the border's colour.
inline void sample_anywhere(const ImageView& image, double x, double y, const std::array<Channel, 3>& channels,
                            std::ptrdiff_t offset) {
    const bool touches = x > -1.0 && x < image.width && y > -1.0 && y < image.height;
    if (!touches) {
        for (const Channel& channel : channels) {
            channel.plane[offset] = channel.border * channel.scale + channel.bias;
        }
        return;
    }
    const int column = static_cast<int>(x + 1.0) - 1;  // floor, as x > -1
    const int row = static_cast<int>(y + 1.0) - 1;
    const float fx = static_cast<float>(x - column);
    const float fy = static_cast<float>(y - row);
    const auto neighbour = [&](int dx, int dy, std::size_t c) -> float {
        const std::int64_t u = std::int64_t{column} + dx;
        const std::int64_t v = std::int64_t{row} + dy;
        const bool inside = u >= 0 && u < image.width && v >= 0 && v < image.height;
        return inside ? image.data[v * image.row_stride + 3 * u + static_cast<std::ptrdiff_t>(c)]
                      : channels[c].border;
    };
    for (std::size_t c = 0; c < 3; ++c) {
        const float top = lerp(neighbour(0, 0, c), neighbour(1, 0, c), fx);
        const float bottom = lerp(neighbour(0, 1, c), neighbour(1, 1, c), fx);
        channels[c].plane[offset] = lerp(top, bottom, fy) * channels[c].scale + channels[c].bias;
    }
}

}  // namespace detail

// Writes the crop that `transform` (input pixel -> picture) describes to `out`, 3 * height * width floats in channel,
// row, column order. Each value is the bilinear sample of the picture, with weights that are not rounded, normalised.
// Never reads outside the picture, whatever the transform holds. Needs every size >= 1 and std > 0.
inline void crop(const ImageView& image, const Affine& transform, const CropFormat& format, float* out) {
    const std::ptrdiff_t plane = std::ptrdiff_t{format.width} * format.height;
    std::array<detail::Channel, 3> channels;
    for (std::size_t c = 0; c < 3; ++c) {
        const std::size_t target = format.color == ColorOrder::rgb ? 2 - c : c;
        channels[c] = {static_cast<float>(1.0 / format.std[target]),
                       static_cast<float>(-format.mean[target] / format.std[target]),
                       static_cast<float>(format.border[c]), out + static_cast<std::ptrdiff_t>(target) * plane};
    }

    // Coordinates are computed once, a block at a time, and the block is tested on the very values it samples at.
    constexpr int block = 64;
    std::array<double, block> x;
    std::array<double, block> y;
    const double last_column = image.width - 1.0;
    const double last_row = image.height - 1.0;
    for (int v = 0; v < format.height; ++v) {
        for (int u = 0; u < format.width; u += block) {
            const std::size_t count = static_cast<std::size_t>(std::min(block, format.width - u));
            bool interior = true;
            for (std::size_t i = 0; i < count; ++i) {
                const Point point = transform(u + static_cast<double>(i), v);
                x[i] = point.x;
                y[i] = point.y;
                interior &= (x[i] >= 0.0) & (x[i] < last_column) & (y[i] >= 0.0) & (y[i] < last_row);
            }
            const std::ptrdiff_t offset = std::ptrdiff_t{v} * format.width + u;
            for (std::size_t i = 0; i < count; ++i) {
                const std::ptrdiff_t pixel = offset + static_cast<std::ptrdiff_t>(i);
                if (interior) {
                    detail::sample_interior(image, x[i], y[i], channels, pixel);
                } else {
                    detail::sample_anywhere(image, x[i], y[i], channels, pixel);
                }
            }
        }
    }
}

}  // namespace leanpose
