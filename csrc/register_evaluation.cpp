#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "leanpose/evaluation.hpp"
#include "leanpose/matching.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

template <class T>
Array<T> column(py::handle object, const char* name, const char* shape, std::initializer_list<py::ssize_t> lengths) {
    if (!py::isinstance<py::array_t<T>>(object)) {
        type_error(name, " must be an array of ", std::string(py::str(py::dtype::of<T>())), ", got ",
                   describe(object));
    }
    auto array = as_contiguous<T>(py::reinterpret_borrow<py::array>(object));
    require_shape(array, name, shape, lengths);
    return array;
}

Array<std::int64_t> cell_column(py::handle object, const char* name, py::ssize_t count, Cells cells) {
    auto array = column<std::int64_t>(object, name, "(N,), one for each row of its keypoints", {count});
    for (py::ssize_t i = 0; i < count; ++i) {
        if (array.data()[i] >= cells.count()) {
            value_error(name, "[", i, "] is ", array.data()[i], "; expected a cell below ", cells.count(),
                        " or a negative number");
        }
    }
    return array;
}

template <class T>
py::array_t<T> copied(const std::vector<T>& values) {
    return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

// What matching leaves behind, read-only: any number of threads may accumulate from it.
class KeypointMatches {
public:
    KeypointMatches(py::tuple truth_columns, py::tuple result_columns, std::pair<py::ssize_t, py::ssize_t> cells,
                    const std::vector<double>& sigmas, const std::vector<double>& thresholds,
                    const std::vector<std::pair<double, double>>& areas, py::ssize_t max_detections, int threads)
        : cells_{cells.first, cells.second}, areas_(areas.size()), thresholds_(static_cast<int>(thresholds.size())) {
        constexpr py::ssize_t largest = py::ssize_t{1} << 31;
        if (cells.first < 0 || cells.second < 0 || cells.first > largest || cells.second > largest) {
            value_error("cells must be numbers of categories and pictures, got (", cells.first, ", ", cells.second,
                        ")");
        }
        if (truth_columns.size() != 7 || result_columns.size() != 4) {
            value_error("expected 7 columns of truth and 4 of results, got ", truth_columns.size(), " and ",
                        result_columns.size());
        }
        if (sigmas.empty() || thresholds.empty() || thresholds.size() > 32 || areas.empty() || max_detections < 0) {
            value_error("expected at least one sigma, 1 to 32 thresholds, an area and max_detections of 0 or more");
        }
        require_threads(threads);
        const auto keypoints = static_cast<py::ssize_t>(sigmas.size());
        const auto truth = column<double>(truth_columns[0], "truth keypoints", "(G, K, 3)", {any_length, keypoints, 3});
        const py::ssize_t persons = truth.shape(0);
        const auto boxes = column<double>(truth_columns[1], "truth boxes", "(G, 4)", {persons, 4});
        const auto truth_areas = column<double>(truth_columns[2], "truth areas", "(G,)", {persons});
        const auto ignored = column<std::uint8_t>(truth_columns[3], "truth ignored", "(G,)", {persons});
        const auto crowd = column<std::uint8_t>(truth_columns[4], "truth crowd", "(G,)", {persons});
        const auto uncounted = column<std::uint8_t>(truth_columns[5], "truth uncounted", "(G,)", {persons});
        const auto truth_cells = cell_column(truth_columns[6], "truth cells", persons, cells_);
        const auto found = column<double>(result_columns[0], "result keypoints", "(D, K, 3)", {any_length, keypoints, 3});
        const py::ssize_t detections = found.shape(0);
        const auto scores = column<double>(result_columns[1], "result scores", "(D,)", {detections});
        const auto result_areas = column<double>(result_columns[2], "result areas", "(D,)", {detections});
        const auto result_cells = cell_column(result_columns[3], "result cells", detections, cells_);

        MatchRules rules{sigmas, thresholds, {}, max_detections};
        for (const auto& [least, most] : areas) {
            rules.areas.push_back({least, most});
        }
        const Truth given{truth.data(),  boxes.data(),     truth_areas.data(), ignored.data(),
                          crowd.data(), uncounted.data(), truth_cells.data(), persons};
        const Results results{found.data(), scores.data(), result_areas.data(), result_cells.data(), detections};
        const py::gil_scoped_release release;
        matches_ = match_keypoints(given, results, cells_, rules, threads);
    }

    py::tuple precision(const std::vector<double>& recalls, int threads) const {
        require_threads(threads);
        const auto areas = static_cast<py::ssize_t>(areas_), points = static_cast<py::ssize_t>(recalls.size());
        const py::ssize_t thresholds = thresholds_;
        py::array_t<double> precision({thresholds, points, cells_.categories, areas});
        py::array_t<double> recall({thresholds, cells_.categories, areas});
        double *precision_data = precision.mutable_data(), *recall_data = recall.mutable_data();
        {
            const py::gil_scoped_release release;
            accumulate(matches_, cells_, areas_, thresholds_, recalls, threads, precision_data, recall_data);
        }
        return py::make_tuple(std::move(precision), std::move(recall));
    }

    py::tuple samples(py::handle weights_object, const std::vector<double>& recalls, int threads) const {
        require_threads(threads);
        const auto weights =
            column<std::int32_t>(weights_object, "weights", "(S, pictures)", {any_length, cells_.pictures});
        for (py::ssize_t i = 0; i < weights.size(); ++i) {
            if (weights.data()[i] < 0) {
                value_error("weights must be 0 or more, got ", weights.data()[i]);
            }
        }
        const std::vector<py::ssize_t> shape{weights.shape(0), thresholds_, cells_.categories,
                                             static_cast<py::ssize_t>(areas_)};
        py::array_t<double> precision(shape), recall(shape);
        double *precision_data = precision.mutable_data(), *recall_data = recall.mutable_data();
        {
            const py::gil_scoped_release release;
            resample(matches_, cells_, areas_, thresholds_, recalls, weights.data(), weights.shape(0), threads,
                     precision_data, recall_data);
        }
        return py::make_tuple(std::move(precision), std::move(recall));
    }

    py::array_t<std::int64_t> rows() const { return copied(matches_.rows); }
    py::array_t<std::int64_t> truth() const { return copied(matches_.truth); }
    py::array_t<std::int32_t> positives() const {
        py::array_t<std::int32_t> array({static_cast<py::ssize_t>(areas_), cells_.categories, cells_.pictures});
        std::copy(matches_.positives.begin(), matches_.positives.end(), array.mutable_data());
        return array;
    }

private:
    Cells cells_;
    std::size_t areas_;
    int thresholds_;
    Matches matches_;
};

py::array_t<double> similarities(py::handle truth_object, py::handle areas_object, py::handle results_object,
                                 py::handle pairs_object, const std::vector<double>& sigmas) {
    const auto keypoints = static_cast<py::ssize_t>(sigmas.size());
    const auto truth = column<double>(truth_object, "truth", "(G, K, 3)", {any_length, keypoints, 3});
    const auto areas = column<double>(areas_object, "areas", "(G,)", {truth.shape(0)});
    const auto results = column<double>(results_object, "results", "(D, K, 3)", {any_length, keypoints, 3});
    const auto pairs = column<std::int64_t>(pairs_object, "pairs", "(M, 2)", {any_length, 2});
    for (py::ssize_t i = 0; i < pairs.shape(0); ++i) {
        const std::int64_t person = pairs.data()[2 * i], row = pairs.data()[2 * i + 1];
        if (person < 0 || person >= truth.shape(0) || row < 0 || row >= results.shape(0)) {
            value_error("pairs[", i, "] is (", person, ", ", row, "); expected rows of truth and of results");
        }
    }
    py::array_t<double> out({pairs.shape(0), keypoints});
    double* values = out.mutable_data();
    {
        const py::gil_scoped_release release;
        for (py::ssize_t i = 0; i < pairs.shape(0); ++i) {
            const std::int64_t person = pairs.data()[2 * i], row = pairs.data()[2 * i + 1];
            keypoint_similarities(truth.data() + 3 * keypoints * person, areas.data()[person],
                                  results.data() + 3 * keypoints * row, sigmas, values + keypoints * i);
        }
    }
    return out;
}

// One number, or NaN with an error set: strings and null are none, though NumPy would take them.
double number(PyObject* value) {
    if (PyFloat_CheckExact(value)) {
        return PyFloat_AS_DOUBLE(value);
    }
    return PyFloat_AsDouble(value);
}

py::object entry_field(py::handle entry, const py::str& field, const std::string& where, py::ssize_t index) {
    if (!PyDict_Check(entry.ptr())) {
        value_error(where, "[", index, "]: expected an object, got ", describe(entry));
    }
    PyObject* value = PyDict_GetItemWithError(entry.ptr(), field.ptr());
    if (value == nullptr) {
        if (PyErr_Occurred()) {
            throw py::error_already_set();
        }
        value_error(where, "[", index, "]: field '", std::string(field), "' is missing");
    }
    return py::reinterpret_borrow<py::object>(value);
}

[[noreturn]] void wrong_field(const std::string& where, py::ssize_t index, const py::str& field,
                              const std::string& expected, py::handle value) {
    PyErr_Clear();
    std::string given = py::repr(value);
    if (given.size() > 80) {
        given = given.substr(0, 77) + "...";
    }
    value_error(where, "[", index, "]: field '", std::string(field), "': expected ", expected, ", got ", given);
}

py::array_t<double> read_numbers(const py::list& entries, const py::str& field, const std::string& where) {
    py::array_t<double> column(static_cast<py::ssize_t>(entries.size()));
    double* out = column.mutable_data();
    for (py::ssize_t i = 0; i < column.size(); ++i) {
        const py::object value = entry_field(entries[static_cast<std::size_t>(i)], field, where, i);
        out[i] = number(value.ptr());
        if (out[i] == -1.0 && PyErr_Occurred()) {
            wrong_field(where, i, field, "a number", value);
        }
    }
    return column;
}

py::array_t<double> read_lists(const py::list& entries, const py::str& field, py::ssize_t length,
                               const std::string& where) {
    constexpr py::ssize_t longest = 1 << 20;
    if (length < 1 || length > longest) {
        value_error("length must be from 1 to ", longest, ", got ", length);
    }
    py::array_t<double> table({static_cast<py::ssize_t>(entries.size()), length});
    double* out = table.mutable_data();
    for (py::ssize_t i = 0; i < table.shape(0); ++i, out += length) {
        const py::object value = entry_field(entries[static_cast<std::size_t>(i)], field, where, i);
        const std::string expected = text("a list of ", length, " numbers");
        const bool sequence = !PyUnicode_Check(value.ptr()) && !PyBytes_Check(value.ptr());
        const auto items = sequence ? py::reinterpret_steal<py::object>(PySequence_Fast(value.ptr(), "")) : py::object();
        if (!items) {
            wrong_field(where, i, field, expected, value);
        }
        if (PySequence_Fast_GET_SIZE(items.ptr()) != length) {
            wrong_field(where, i, field, text(expected, ", not of ", PySequence_Fast_GET_SIZE(items.ptr())), value);
        }
        for (py::ssize_t k = 0; k < length; ++k) {
            // asked anew each time: converting an item may run code that shortens the list
            const auto item = k < PySequence_Fast_GET_SIZE(items.ptr())
                                  ? py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(items.ptr(), k))
                                  : py::object();
            out[k] = item ? number(item.ptr()) : -1.0;
            if (!item || (out[k] == -1.0 && PyErr_Occurred())) {
                wrong_field(where, i, field, expected, value);
            }
        }
    }
    return table;
}

}  // namespace

void register_evaluation(py::module_& module) {
    py::class_<KeypointMatches>(module, "KeypointMatches",
                                R"(Results matched to ground truth by OKS with COCO's rules; see leanpose.evaluation.

Args of the constructor:
    truth: columns of G persons: keypoints (G, K, 3), boxes (G, 4) x, y, width, height and areas (G,), float64; ignored,
        crowd and uncounted (G,), uint8; cells (G,), int64, category * pictures + picture, negative to leave out.
    results: columns of D results: keypoints (D, K, 3), scores (D,) and areas (D,), float64; cells (D,), int64.
    cells: numbers of categories and pictures.
    sigmas: K positive numbers.
    thresholds: T <= 32 rising OKS.
    areas: A pairs of least and greatest area.
    max_detections: how many results of a cell take part, the best first.
    threads: how many threads work.

The interpreter lock is released while it matches and accumulates.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: wrong or disagreeing shapes, or a number out of range.
)")
        .def(py::init<py::tuple, py::tuple, std::pair<py::ssize_t, py::ssize_t>, const std::vector<double>&,
                      const std::vector<double>&, const std::vector<std::pair<double, double>>&, py::ssize_t, int>(),
             py::arg("truth"), py::arg("results"), py::arg("cells"), py::arg("sigmas"), py::arg("thresholds"),
             py::arg("areas"), py::arg("max_detections"), py::arg("threads"))
        .def("precision", &KeypointMatches::precision, py::arg("recalls"), py::arg("threads"),
             R"(precision(recalls, threads)
--

(T, R, C, A) float64 interpolated precision at R rising recalls and (T, C, A) recall; -1 where nobody is to be found.
)")
        .def("samples", &KeypointMatches::samples, py::arg("weights"), py::arg("recalls"), py::arg("threads"),
             R"(samples(weights, recalls, threads)
--

(S, T, C, A) float64 mean precision over the recalls and recall, of S samples that hold the pictures as often as the
(S, pictures) int32 weights say.
)")
        .def_property_readonly("rows", &KeypointMatches::rows,
                               "(N,) int64 rows of the results that took part, by category and falling score.")
        .def_property_readonly("truth", &KeypointMatches::truth,
                               "(N,) int64 person that each matched at the first threshold and area, or -1.")
        .def_property_readonly("positives", &KeypointMatches::positives,
                               "(A, C, pictures) int32 numbers of persons to be found.");
    module.def("keypoint_similarities", &similarities, py::arg("truth"), py::arg("areas"), py::arg("results"),
               py::arg("pairs"), py::arg("sigmas"),
               R"(keypoint_similarities(truth, areas, results, pairs, sigmas)
--

(M, K) float64 parts of OKS, keypoint by keypoint, of M pairs of rows of truth (G, K, 3) and results (D, K, 3): NaN where
a keypoint is not labelled, 0 where a number is not finite. The interpreter lock is released meanwhile.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: wrong or disagreeing shapes, or a row that does not exist.
)");
    module.def("read_numbers", &read_numbers, py::arg("entries"), py::arg("field"), py::arg("where"),
               R"(read_numbers(entries, field, where)
--

(N,) float64 numbers in one field of N dictionaries. ValueError names `where`, the entry and the field that is wrong.
)");
    module.def("read_lists", &read_lists, py::arg("entries"), py::arg("field"), py::arg("length"), py::arg("where"),
               R"(read_lists(entries, field, length, where)
--

(N, length) float64 numbers of the lists in one field of N dictionaries. ValueError names `where`, the entry and the
field that is wrong.
)");
}

}  // namespace leanpose::python
