#include <string>
#include <vector>

#include "checks.hpp"
#include "leanpose/simd/isa.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

constexpr Isa all_levels[] = {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512};

std::vector<std::string> simd_levels() {
    std::vector<std::string> names;
    for (const Isa isa : all_levels) {
        if (isa_available(isa)) {
            names.emplace_back(isa_name(isa));
        }
    }
    return names;
}

std::string use_simd(const std::string& name) {
    for (const Isa isa : all_levels) {
        if (name == isa_name(isa) && use_isa(isa)) {
            return name;
        }
    }
    std::string available;
    for (const std::string& level : simd_levels()) {
        available += (available.empty() ? "'" : ", '") + level + "'";
    }
    value_error("level must be one that runs here, ", available, ", got '", name, "'");
}

}  // namespace

void register_simd(py::module_& module) {
    module.def("simd_levels", [] { return py::tuple(py::cast(simd_levels())); },
               R"(simd_levels()
--

Names of the instruction sets whose kernels are compiled in and run on this CPU, the best last.
)");
    module.def("simd_level", [] { return isa_name(active_isa()); },
               R"(simd_level()
--

Name of the instruction set that the kernels of this process use.
)");
    module.def("use_simd", &use_simd, py::arg("level"),
               R"(use_simd(level)
--

Make the kernels of this process use another instruction set, for tests and measurements; returns its name.

Raises:
    ValueError: it is not one of ``simd_levels()``.
)");
}

}  // namespace leanpose::python
