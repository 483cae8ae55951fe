#include <cstdint>
#include <string>
#include <vector>

#include "checks.hpp"
#include "leanpose/crop.hpp"
#include "module.hpp"
#include "pictures.hpp"

namespace leanpose::python {
namespace {

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
