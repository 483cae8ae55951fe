// Pictures as arguments and their normalised pixels as results, shared by the bindings.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "checks.hpp"
#include "leanpose/crop.hpp"

namespace leanpose::python {

// Rows may be padded or reversed; any other layout is copied, and the copy must outlive the view.
inline py::array picture(py::handle object, const char* name) {
    if (!py::isinstance<py::array_t<std::uint8_t>>(object)) {
        type_error(name, " must be a uint8 array of shape (H, W, 3) in BGR order, got ", describe(object));
    }
    const py::array image = own_view(py::reinterpret_borrow<py::array>(object));
    require_shape(image, name, "(H, W, 3)", {any_length, any_length, 3});
    for (const py::ssize_t side : {image.shape(0), image.shape(1)}) {
        if (side < 1 || side > std::numeric_limits<int>::max()) {
            value_error(name, " must have at least one pixel and sides below 2**31, got shape ", shape_text(image));
        }
    }
    const bool packed_pixels = image.strides(2) == 1 && (image.strides(1) == 3 || image.shape(1) == 1);
    return packed_pixels ? image : as_contiguous<std::uint8_t>(image);
}

inline ImageView view_of(const py::array& image) {
    return {static_cast<const std::uint8_t*>(image.data()), static_cast<int>(image.shape(1)),
            static_cast<int>(image.shape(0)), image.shape(0) > 1 ? image.strides(0) : 0};  // else NumPy allows any
}

// Whether `out` lies, in part, between the first and the last byte of the picture.
inline bool overlap(const ImageView& image, const py::array& out) {
    const std::ptrdiff_t last_row = (image.height - 1) * image.row_stride;
    const std::uint8_t* const begin = image.data + std::min<std::ptrdiff_t>(last_row, 0);
    const std::uint8_t* const end =
        image.data + std::max<std::ptrdiff_t>(last_row, 0) + std::ptrdiff_t{3} * image.width;
    const auto* const out_begin = static_cast<const std::uint8_t*>(out.data());
    const std::less<> before;  // a total order, which < is only within one array
    return out.size() > 0 && before(out_begin, end) && before(begin, out_begin + out.nbytes());
}

inline py::dtype dtype_of(Element element) {
    switch (element) {
        case Element::float16: return py::dtype("float16");
        case Element::uint8: return py::dtype("uint8");
        default: return py::dtype("float32");
    }
}

// The array to write into: the caller's, or a new one.
inline py::array target(const py::object& out, py::ssize_t count, const CropFormat& format) {
    std::vector<py::ssize_t> shape{count};
    if (format.flipped) {
        shape.push_back(2);
    }
    if (format.layout == Layout::nchw) {
        shape.insert(shape.end(), {3, format.height, format.width});
    } else {
        shape.insert(shape.end(), {format.height, format.width, 3});
    }
    const py::dtype dtype = dtype_of(format.element);
    if (out.is_none()) {
        return py::array(dtype, shape);
    }
    const bool is_array = py::isinstance<py::array>(out);
    if (!is_array || !py::reinterpret_borrow<py::array>(out).dtype().equal(dtype)) {
        type_error("out must be a ", std::string(py::str(dtype)), " array, got ", describe(out));
    }
    auto array = py::reinterpret_borrow<py::array>(out);
    if (!std::equal(shape.begin(), shape.end(), array.shape(), array.shape() + array.ndim())) {
        value_error("out must have shape ", std::string(py::str(py::tuple(py::cast(shape)))), ", got ",
                    shape_text(array));
    }
    constexpr int layout = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
    if ((array.flags() & layout) != layout || !array.writeable()) {
        value_error("out must be C-contiguous, aligned and writeable; pass a slice of the first axis of such an array");
    }
    return array;
}

inline CropFormat crop_format(const Size& size, const py::object& mean, const py::object& deviation,
                       const std::string& color, const py::object& border, const std::string& dtype,
                       const std::string& layout, bool flipped) {
    const CropFormat format{
        size.width,
        size.height,
        three_values(mean, "mean"),
        three_values(deviation, "std"),
        choice<ColorOrder>(color, "color", {{"rgb", ColorOrder::rgb}, {"bgr", ColorOrder::bgr}}),
        three_values(border, "border"),
        choice<Element>(dtype, "dtype",
                        {{"float32", Element::float32}, {"float16", Element::float16}, {"uint8", Element::uint8}}),
        choice<Layout>(layout, "layout", {{"nchw", Layout::nchw}, {"nhwc", Layout::nhwc}}),
        flipped};
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

}  // namespace leanpose::python
