#pragma once

#include <pybind11/pybind11.h>

namespace leanpose::python {

void register_assignment(pybind11::module_& module);
void register_detection(pybind11::module_& module);
void register_evaluation(pybind11::module_& module);
void register_geometry(pybind11::module_& module);
void register_heatmap(pybind11::module_& module);
void register_crop(pybind11::module_& module);
void register_grouping(pybind11::module_& module);
void register_oks(pybind11::module_& module);
void register_simcc(pybind11::module_& module);
void register_simd(pybind11::module_& module);

}  // namespace leanpose::python
