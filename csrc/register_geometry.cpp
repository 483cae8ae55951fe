#include <string>

#include "checks.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

Array<double> crop_transforms(const py::object& boxes_object, const py::object& size_object, double padding,
                              const std::string& transform_name) {
    const auto transform =
        choice<Transform>(transform_name, "transform", {{"plain", Transform::plain}, {"udp", Transform::udp}});
    const Size size = input_size(size_object, transform == Transform::udp ? 2 : 1);
    require_positive(padding, "padding");
    const auto boxes = real_array(boxes_object, "boxes");
    require_shape(boxes, "boxes", "(N, 4)", {any_length, 4});
    require_finite(boxes, "boxes", 4);

    const py::ssize_t count = boxes.shape(0);
    Array<double> transforms({count, py::ssize_t{2}, py::ssize_t{3}});
    double* out = transforms.mutable_data();
    for (py::ssize_t i = 0; i < count; ++i) {
        const double* b = boxes.data() + 4 * i;
        const Box box{b[0], b[1], b[2], b[3]};
        if (!(box.x1 > box.x0 && box.y1 > box.y0)) {
            value_error("boxes[", i, "] = (", box.x0, ", ", box.y0, ", ", box.x1, ", ", box.y1,
                        ") is empty; boxes are (x0, y0, x1, y1) with x1 > x0 and y1 > y0");
        }
        const Affine affine = crop_transform(box, size.width, size.height, padding, transform);
        for (const double value : {affine.xu, affine.xv, affine.xc, affine.yu, affine.yv, affine.yc}) {
            if (!std::isfinite(value)) {
                value_error("boxes[", i, "] = (", box.x0, ", ", box.y0, ", ", box.x1, ", ", box.y1,
                            ") is too large for its crop to be finite");
            }
            *out++ = value;
        }
    }
    return transforms;
}

}  // namespace

void register_geometry(py::module_& module) {
    module.def("crop_transforms", &crop_transforms, py::arg("boxes"), py::arg("input_size"), py::arg("padding"),
               py::arg("transform"),
               R"(crop_transforms(boxes, input_size, padding, transform)
--

Affine matrices from the pixels of a network's input to the picture, one for each box.

Each box is scaled by ``padding`` about its centre, then its shorter side grows until the crop (left, top, w, h) has
the aspect ratio of the input. Pixel centres lie at integers.

Args:
    boxes: (N, 4) numbers, x0, y0, x1, y1 in picture pixels with x1 > x0 and y1 > y0; N may be 0.
    input_size: (height, width) of the network's input, each at least 1, or 2 for "udp".
    padding: factor on the box's sides, positive.
    transform: "plain", x = left + u * w / width, or "udp", x = left + u * w / (width - 1)
        (Huang et al., CVPR 2020); the same for y.

Returns:
    (N, 2, 3) float64 matrices; (x, y) = matrix @ (u, v, 1).

Raises:
    TypeError: an argument of the wrong type.
    ValueError: a wrong shape, a value that is not finite, an empty box (its row is named) or an unknown transform.
)");
}

}  // namespace leanpose::python
