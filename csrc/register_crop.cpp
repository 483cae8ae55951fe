#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "checks.hpp"
#include "leanpose/crop.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

// Rows may be padded or reversed; any other layout is copied, and the copy must outlive the view.
py::array picture(const py::object& object) {
    if (!py::isinstance<py::array_t<std::uint8_t>>(object)) {
        type_error("image must be a uint8 array of shape (H, W, 3) in BGR order, got ", describe(object));
    }
    auto image = py::reinterpret_borrow<py::array>(object);
    require_shape(image, "image", "(H, W, 3)", {any_length, any_length, 3});
    for (const py::ssize_t side : {image.shape(0), image.shape(1)}) {
        if (side < 1 || side > std::numeric_limits<int>::max()) {
            value_error("image must have at least one pixel and sides below 2**31, got shape ", shape_text(image));
        }
    }
    const bool packed_pixels = image.strides(2) == 1 && (image.strides(1) == 3 || image.shape(1) == 1);
    return packed_pixels ? image : py::array(Array<std::uint8_t>::ensure(image));
}

ImageView view_of(const py::array& image) {
    return {static_cast<const std::uint8_t*>(image.data()), static_cast<int>(image.shape(1)),
            static_cast<int>(image.shape(0)), static_cast<std::ptrdiff_t>(image.strides(0))};
}

// The array to write into: the caller's, or a new one.
py::array_t<float> target(const py::object& out, py::ssize_t count, const Size& size) {
    const std::array<py::ssize_t, 4> shape{count, 3, size.height, size.width};
    if (out.is_none()) {
        return py::array_t<float>(shape);
    }
    if (!py::isinstance<py::array_t<float>>(out)) {
        type_error("out must be a float32 array, got ", describe(out));
    }
    auto array = py::reinterpret_borrow<py::array_t<float>>(out);
    if (array.ndim() != 4 || !std::equal(shape.begin(), shape.end(), array.shape())) {
        value_error("out must have shape (", count, ", 3, ", size.height, ", ", size.width, "), got ",
                    shape_text(array));
    }
    constexpr int layout = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    if ((array.flags() & layout) != layout || !array.writeable()) {
        value_error("out must be C-contiguous, aligned and writeable; pass a slice of the first axis of such an array");
    }
    return array;
}

CropFormat crop_format(const Size& size, const py::object& mean, const py::object& deviation,
                       const std::string& color, const py::object& border) {
    const CropFormat format{size.width,
                            size.height,
                            three_values(mean, "mean"),
                            three_values(deviation, "std"),
                            choice<ColorOrder>(color, "color", {{"rgb", ColorOrder::rgb}, {"bgr", ColorOrder::bgr}}),
                            three_values(border, "border")};
    for (std::size_t c = 0; c < 3; ++c) {
        if (!(format.std[c] >= std::numeric_limits<float>::min())) {
            value_error("std must be positive, and not so small that float32 loses it; got ", format.std[c],
                        " for channel ", c);
        }
        if (!(format.border[c] >= 0.0 && format.border[c] <= 255.0)) {
            value_error("border must be from 0 to 255, got ", format.border[c], " for channel ", c);
        }
    }
    return format;
}

py::array_t<float> crop_persons(const py::object& image_object, const py::object& transforms_object,
                                const py::object& size_object, const py::object& mean,
                                const py::object& deviation, const std::string& color, const py::object& border,
                                const py::object& out) {
    const py::array image = picture(image_object);
    const std::vector<Affine> transforms = affines(transforms_object);
    const Size size = input_size(size_object, 1);
    const CropFormat format = crop_format(size, mean, deviation, color, border);
    auto result = target(out, static_cast<py::ssize_t>(transforms.size()), size);

    const ImageView view = view_of(image);
    float* destination = result.mutable_data();
    {
        const py::gil_scoped_release release;
        for (const Affine& transform : transforms) {
            crop(view, transform, format, destination);
            destination += std::ptrdiff_t{3} * size.height * size.width;
        }
    }
    return result;
}

}  // namespace

void register_crop(py::module_& module) {
    module.def("crop", &crop_persons, py::arg("image"), py::arg("transforms"), py::arg("input_size"), py::arg("mean"),
               py::arg("std"), py::arg("color"), py::arg("border") = py::make_tuple(0, 0, 0),
               py::arg("out") = py::none(),
               R"(crop(image, transforms, input_size, mean, std, color, border=(0, 0, 0), out=None)
--

The normalised network inputs of the persons of one picture, in one pass over the pixels.

Each value is (sample - mean) / std, where the sample is bilinear with weights that are not rounded; neighbours outside
the picture have the border's colour. The interpreter lock is released while the pixels are read.

Args:
    image: (H, W, 3) uint8, BGR; rows may be padded or reversed, any other layout is copied first.
    transforms: (N, 2, 3) finite matrices, input pixel (u, v, 1) to picture (x, y); N may be 0.
    input_size: (height, width) of the network's input.
    mean: (3,) numbers in 0..255, in the output's channel order.
    std: (3,) positive numbers, likewise.
    color: channel order of the output, "rgb" or "bgr".
    border: (3,) numbers in 0..255, BGR.
    out: (N, 3, height, width) float32 array to write into, C-contiguous and writeable, or None for a new one.

Returns:
    (N, 3, height, width) float32; ``out`` itself where given.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: a wrong shape or layout, an empty picture, a value that is not finite, or std not positive.
)");
}

}  // namespace leanpose::python
