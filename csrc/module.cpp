#include "module.hpp"

PYBIND11_MODULE(_core, module, pybind11::mod_gil_not_used()) {
    module.doc() = "Native core of leanpose.";
    pybind11::options options;
    options.disable_function_signatures();  // each docstring opens with its own, which inspect.signature reads
    leanpose::python::register_assignment(module);
    leanpose::python::register_geometry(module);
    leanpose::python::register_crop(module);
    leanpose::python::register_detection(module);
    leanpose::python::register_evaluation(module);
    leanpose::python::register_grouping(module);
    leanpose::python::register_heatmap(module);
    leanpose::python::register_oks(module);
    leanpose::python::register_simcc(module);
    leanpose::python::register_simd(module);
}
