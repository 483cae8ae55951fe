#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "checks.hpp"
#include "leanpose/crop.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

// Rows may be padded or reversed; any other layout is copied, and the copy must outlive the view.
py::array picture(py::handle object, const char* name) {
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

ImageView view_of(const py::array& image) {
    return {static_cast<const std::uint8_t*>(image.data()), static_cast<int>(image.shape(1)),
            static_cast<int>(image.shape(0)), image.shape(0) > 1 ? image.strides(0) : 0};  // else NumPy allows any
}

// Whether `out` lies, in part, between the first and the last byte of the picture.
bool overlap(const ImageView& image, const py::array& out) {
    const std::ptrdiff_t last_row = (image.height - 1) * image.row_stride;
    const std::uint8_t* const begin = image.data + std::min<std::ptrdiff_t>(last_row, 0);
    const std::uint8_t* const end =
        image.data + std::max<std::ptrdiff_t>(last_row, 0) + std::ptrdiff_t{3} * image.width;
    const auto* const out_begin = static_cast<const std::uint8_t*>(out.data());
    const std::less<> before;  // a total order, which < is only within one array
    return out.size() > 0 && before(out_begin, end) && before(begin, out_begin + out.nbytes());
}

// One picture, or a list or tuple of them.
std::vector<py::array> pictures_of(const py::object& object) {
    std::vector<py::array> images;
    if (!py::isinstance<py::list>(object) && !py::isinstance<py::tuple>(object)) {
        images.push_back(picture(object, "image"));
        return images;
    }
    for (const py::handle item : object) {
        images.push_back(picture(item, text("image[", images.size(), "]").c_str()));
    }
    return images;
}

// The picture of each of `count` transforms.
std::vector<std::size_t> picture_indices(const py::object& object, std::size_t pictures, std::size_t count) {
    if (object.is_none()) {
        if (pictures != 1 && count > 0) {
            value_error("pictures must tell which of the ", pictures, " images each transform belongs to, got None");
        }
        return std::vector<std::size_t>(count, 0);
    }
    const py::array given = any_array(object);
    const std::string kind(1, given ? given.dtype().kind() : 'O');
    const bool integers = kind == "i" || kind == "u" || (given && given.size() == 0);
    if (!integers) {
        type_error("pictures must be an array of integers, got ", describe(object));
    }
    const auto indices = as_contiguous<std::int64_t>(given);
    require_shape(indices, "pictures", "(N,), one index for each transform", {static_cast<py::ssize_t>(count)});
    std::vector<std::size_t> result;
    result.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t index = indices.data()[i];
        if (index < 0 || index >= static_cast<std::int64_t>(pictures)) {
            value_error("pictures[", i, "] = ", index, ", but there are ", pictures, " images, counted from 0");
        }
        result.push_back(static_cast<std::size_t>(index));
    }
    return result;
}

py::dtype dtype_of(Element element) {
    switch (element) {
        case Element::float16: return py::dtype("float16");
        case Element::uint8: return py::dtype("uint8");
        default: return py::dtype("float32");
    }
}

// The array to write into: the caller's, or a new one.
py::array target(const py::object& out, py::ssize_t count, const CropFormat& format) {
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

CropFormat crop_format(const Size& size, const py::object& mean, const py::object& deviation,
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

py::array crop_persons(const py::object& image_object, const py::object& transforms_object,
                       const py::object& size_object, const py::object& mean, const py::object& deviation,
                       const std::string& color, const py::object& border, const py::object& pictures,
                       const std::string& dtype, const std::string& layout, bool flipped, int threads,
                       const py::object& out) {
    const std::vector<py::array> images = pictures_of(image_object);
    const std::vector<Affine> transforms = affines(transforms_object);
    const std::vector<std::size_t> indices = picture_indices(pictures, images.size(), transforms.size());
    const Size size = input_size(size_object, 1);
    const CropFormat format = crop_format(size, mean, deviation, color, border, dtype, layout, flipped);
    require_threads(threads);
    auto result = target(out, static_cast<py::ssize_t>(transforms.size()), format);

    std::vector<ImageView> views;
    for (const py::array& image : images) {
        views.push_back(view_of(image));
        if (overlap(views.back(), result)) {
            value_error("out must not share memory with image, which is read while out is written; pass a copy of one");
        }
    }
    std::vector<CropItem> items;
    items.reserve(transforms.size());
    for (std::size_t i = 0; i < transforms.size(); ++i) {
        items.push_back({&views[indices[i]], transforms[i]});
    }
    void* const destination = result.mutable_data();
    {
        const py::gil_scoped_release release;
        crop_batch(items.data(), static_cast<std::ptrdiff_t>(items.size()), format, destination, threads);
    }
    return result;
}

}  // namespace

void register_crop(py::module_& module) {
    module.def("crop", &crop_persons, py::arg("image"), py::arg("transforms"), py::arg("input_size"), py::arg("mean"),
               py::arg("std"), py::arg("color"), py::arg("border") = py::make_tuple(0.0, 0.0, 0.0), py::kw_only(),
               py::arg("pictures") = py::none(), py::arg("dtype") = "float32", py::arg("layout") = "nchw",
               py::arg("flipped") = false, py::arg("threads") = 1, py::arg("out") = py::none(),
               R"(crop(image, transforms, input_size, mean, std, color, border=(0, 0, 0), *, pictures=None, dtype='float32', layout='nchw', flipped=False, threads=1, out=None)
--

The normalised network inputs of the persons of one or many pictures, in one pass over the pixels.

Each value is (sample - mean) / std, where the sample is bilinear with weights that are not rounded; neighbours outside
the picture have the border's colour. The interpreter lock is released while the pixels are read. Matrices without
rotation are the fastest.

Args:
    image: (H, W, 3) uint8, BGR, or a list or tuple of such arrays of any sizes; rows may be padded or reversed, any
        other layout is copied first.
    transforms: (N, 2, 3) finite matrices, input pixel (u, v, 1) to picture (x, y); N may be 0.
    input_size: (height, width) of the network's input.
    mean: (3,) numbers in 0..255, in the output's channel order.
    std: (3,) positive numbers, likewise.
    color: channel order of the output, "rgb" or "bgr".
    border: (3,) numbers in 0..255, BGR.
    pictures: (N,) integers, the index in ``image`` of each person's picture; needed where there are several.
    dtype: "float32", "float16", or "uint8", rounded to nearest and saturated.
    layout: "nchw" or "nhwc".
    flipped: whether each crop is followed by its mirror image (input pixel u to width - 1 - u).
    threads: how many threads share the work, at least 1.
    out: array to write into, of the result's shape and dtype, C-contiguous, writeable and apart from ``image``, or None
        for a new one.

Returns:
    (N, 3, height, width) for "nchw" or (N, height, width, 3) for "nhwc", with ``flipped`` (N, 2, ...) of crops and
    mirror images; ``out`` itself where given.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: a wrong shape or layout, an empty picture, a value that is not finite, std not positive, an index
        without a picture, or an unknown name.
)");
}

}  // namespace leanpose::python
