// Arguments of the decoders: batches of network outputs, of which strided views are not copied, and mirror images.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "checks.hpp"

namespace leanpose::python {

// A float32 array whose items (entries of the first axis) are each contiguous and aligned.
struct FloatItems {
    py::array_t<float> array;
    py::ssize_t stride;  // of the items, in floats; any sign, 0 for a broadcast item
};

// `shape` is the expected one in words, as "(B, K, height, width)". Other layouts are copied.
inline FloatItems float_items(const py::object& object, const char* name, const char* shape, py::ssize_t dimensions) {
    if (!py::isinstance<py::array_t<float>>(object)) {
        type_error(name, " must be a float32 array of shape ", shape, ", got ", describe(object),
                   "; convert other dtypes, float16 too, with .astype(numpy.float32)");
    }
    py::array_t<float> array = own_view(py::reinterpret_borrow<py::array>(object));
    if (array.ndim() != dimensions) {
        value_error(name, " must have shape ", shape, ", got ", shape_text(array));
    }
    constexpr py::ssize_t item_size = sizeof(float);
    bool contiguous = true;
    py::ssize_t length = 1;
    for (py::ssize_t axis = dimensions - 1; axis > 0; --axis) {
        contiguous &= array.shape(axis) == 1 || array.strides(axis) == length * item_size;
        length *= array.shape(axis);
    }
    const bool aligned = (array.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_) != 0;
    if (contiguous && aligned && array.strides(0) % item_size == 0) {
        const py::ssize_t stride = array.strides(0) / item_size;
        return {std::move(array), stride};
    }
    return {as_contiguous<float>(array), length};
}

inline void require_same_shape(const py::array& array, const char* name, const py::array& other,
                               const char* other_name) {
    if (!std::equal(array.shape(), array.shape() + array.ndim(), other.shape(), other.shape() + other.ndim())) {
        value_error(name, " must have the shape of ", other_name, ", ", shape_text(other), ", got ",
                    shape_text(array));
    }
}

// For each keypoint its index in a mirror image.
inline std::vector<std::ptrdiff_t> flip_indices(const py::object& object, py::ssize_t keypoints) {
    const py::array given = any_array(object);
    if (!given || std::string("iu").find(given.dtype().kind()) == std::string::npos) {
        type_error("flip_index must be an array of integers, got ", describe(object));
    }
    const auto indices = as_contiguous<std::int64_t>(given);
    require_shape(indices, "flip_index", "(K,), one index for each keypoint", {keypoints});
    std::vector<std::ptrdiff_t> result;
    for (py::ssize_t k = 0; k < keypoints; ++k) {
        const std::int64_t index = indices.data()[k];
        if (index < 0 || index >= keypoints) {
            value_error("flip_index[", k, "] must be from 0 to ", keypoints - 1, ", got ", index);
        }
        result.push_back(static_cast<std::ptrdiff_t>(index));
    }
    return result;
}

}  // namespace leanpose::python
