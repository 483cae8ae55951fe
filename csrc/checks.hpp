// Checks of Python arguments, shared by the bindings: every message names what was given and what was expected.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "leanpose/geometry.hpp"

namespace leanpose::python {

namespace py = pybind11;

// C-contiguous and aligned: an array of another layout is copied into one.
template <class T>
using Array = py::array_t<T, py::array::c_style | py::array::forcecast | py::detail::npy_api::NPY_ARRAY_ALIGNED_>;

struct Size {
    int height, width;
};

constexpr py::ssize_t any_length = -1;

template <class... Parts>
std::string text(const Parts&... parts) {
    std::ostringstream stream;
    (stream << ... << parts);
    return stream.str();
}

template <class... Parts>
[[noreturn]] void type_error(const Parts&... parts) {
    throw py::type_error(text(parts...));
}

template <class... Parts>
[[noreturn]] void value_error(const Parts&... parts) {
    throw py::value_error(text(parts...));
}

inline std::string shape_text(const py::array& array) {
    return py::str(py::tuple(array.attr("shape")));
}

// "float64 array of shape (2, 4)", or the type's name for what is no array.
inline std::string describe(py::handle object) {
    if (py::isinstance<py::array>(object)) {
        const auto array = py::reinterpret_borrow<py::array>(object);
        return text(std::string(py::str(array.dtype())), " array of shape ", shape_text(array));
    }
    return py::str(py::type::handle_of(object).attr("__name__"));
}

inline void require_shape(const py::array& array, const char* name, const char* expected,
                          std::initializer_list<py::ssize_t> shape) {
    bool same = static_cast<std::size_t>(array.ndim()) == shape.size();
    py::ssize_t axis = 0;
    for (auto length = shape.begin(); same && length != shape.end(); ++length, ++axis) {
        same = *length == any_length || *length == array.shape(axis);
    }
    if (!same) {
        value_error(name, " must have shape ", expected, ", got ", shape_text(array));
    }
}

// The array that an object is or becomes, null where it is none; what says nothing of the object, such as a lack of
// memory, is thrown.
inline py::array any_array(py::handle object) {
    try {
        return py::array(py::reinterpret_borrow<py::object>(object));
    } catch (const py::error_already_set& error) {
        if (error.matches(PyExc_MemoryError) || !error.matches(PyExc_Exception)) {
            throw;
        }
        return py::reinterpret_steal<py::array>(py::handle());
    }
}

// The same memory with a shape of its own: converting the next argument may run code that reshapes `array`.
inline py::array own_view(const py::array& array) {
    return py::array(array.dtype(), std::vector<py::ssize_t>(array.shape(), array.shape() + array.ndim()),
                     std::vector<py::ssize_t>(array.strides(), array.strides() + array.ndim()), array.data(), array);
}

// A view, or a copy of another layout or dtype; NumPy's error is thrown where there is no memory for it.
template <class T>
Array<T> as_contiguous(const py::array& array) {
    return Array<T>(own_view(array));
}

// Whatever holds integers or floats, as float64.
inline Array<double> real_array(py::handle object, const char* name) {
    const py::array array = any_array(object);
    if (!array || std::string("fiu").find(array.dtype().kind()) == std::string::npos) {
        type_error(name, " must be an array of integers or floats, got ", describe(object));
    }
    return as_contiguous<double>(array);
}

// The index of the first row (of `row_length` values) that holds NaN or an infinity is named in the error.
inline void require_finite(const Array<double>& array, const char* name, py::ssize_t row_length) {
    for (py::ssize_t i = 0; i < array.size(); ++i) {
        if (!std::isfinite(array.data()[i])) {
            value_error(name, "[", i / row_length, "] holds ", array.data()[i], "; every value must be finite");
        }
    }
}

inline void require_positive(double value, const char* name) {
    if (!(value > 0.0) || !std::isfinite(value)) {
        value_error(name, " must be positive and finite, got ", value);
    }
}

inline void require_threads(int threads) {
    constexpr int largest = 256;
    if (threads < 1 || threads > largest) {
        value_error("threads must be from 1 to ", largest, ", got ", threads);
    }
}

inline std::array<double, 3> three_values(py::handle object, const char* name) {
    if (PyTuple_CheckExact(object.ptr()) && PyTuple_GET_SIZE(object.ptr()) == 3) {  // the usual case, without an array
        std::array<double, 3> values{};
        bool finite = true;
        for (std::size_t i = 0; i < 3; ++i) {
            PyObject* const item = PyTuple_GET_ITEM(object.ptr(), static_cast<Py_ssize_t>(i));
            finite &= PyFloat_CheckExact(item) != 0;
            values[i] = finite ? PyFloat_AS_DOUBLE(item) : 0.0;
            finite &= std::isfinite(values[i]);
        }
        if (finite) {
            return values;
        }
    }
    const auto array = real_array(object, name);
    require_shape(array, name, "(3,)", {3});
    require_finite(array, name, 1);
    return {array.data()[0], array.data()[1], array.data()[2]};
}

// (height, width) of a network's input; the upper bound keeps every product of sizes far from overflow.
inline Size input_size(py::handle object, int smallest) {
    constexpr int largest = 1 << 15;
    std::pair<long long, long long> size;
    try {
        size = object.cast<std::pair<long long, long long>>();
    } catch (const py::cast_error&) {
        type_error("input_size must be a pair of integers (height, width), got ", std::string(py::repr(object)));
    }
    for (const long long side : {size.first, size.second}) {
        if (side < smallest || side > largest) {
            value_error("input_size must be (height, width), each from ", smallest, " to ", largest, ", got (",
                        size.first, ", ", size.second, ")");
        }
    }
    return {static_cast<int>(size.first), static_cast<int>(size.second)};
}

inline std::vector<Affine> affines(py::handle object) {
    const auto array = real_array(object, "transforms");
    require_shape(array, "transforms", "(N, 2, 3)", {any_length, 2, 3});
    require_finite(array, "transforms", 6);
    std::vector<Affine> result;
    result.reserve(static_cast<std::size_t>(array.shape(0)));
    for (py::ssize_t i = 0; i < array.shape(0); ++i) {
        const double* m = array.data() + 6 * i;
        result.push_back({m[0], m[1], m[2], m[3], m[4], m[5]});
    }
    return result;
}

// The value that a string argument names.
template <class Value>
Value choice(const std::string& given, const char* name,
             std::initializer_list<std::pair<const char*, Value>> choices) {
    std::string expected;
    for (const auto& [key, value] : choices) {
        if (given == key) {
            return value;
        }
        expected += text(expected.empty() ? "'" : ", '", key, "'");
    }
    value_error(name, " must be one of ", expected, ", got '", given, "'");
}

}  // namespace leanpose::python
