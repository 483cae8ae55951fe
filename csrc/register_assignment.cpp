#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "checks.hpp"
#include "leanpose/assignment.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

py::tuple assign(const py::object& cost_object) {
    const auto cost = real_array(cost_object, "cost");
    require_shape(cost, "cost", "(R, C)", {any_length, any_length});
    const py::ssize_t rows = cost.shape(0);
    const py::ssize_t columns = cost.shape(1);
    const double* data = cost.data();
    for (py::ssize_t i = 0; i < cost.size(); ++i) {
        if (!(data[i] > -std::numeric_limits<double>::infinity())) {
            value_error("cost[", i / columns, ", ", i % columns, "] is ", data[i],
                        "; every cost must be a finite number, or +inf to forbid the pair");
        }
    }
    const py::ssize_t count = std::min(rows, columns);
    py::array_t<std::int64_t> row_indices(count), column_indices(count);
    if (count == 0) {  // the other axis may be of any length
        return py::make_tuple(std::move(row_indices), std::move(column_indices));
    }
    std::optional<std::vector<std::ptrdiff_t>> assigned;
    {
        const py::gil_scoped_release release;
        assigned = linear_assignment(data, rows, columns);
    }
    if (!assigned) {
        value_error("cost of shape (", rows, ", ", columns, ") forbids (+inf) so many pairs that no assignment of ",
                    count, " is left; use a large finite cost and drop such pairs afterwards");
    }
    std::int64_t* row_data = row_indices.mutable_data();
    std::int64_t* column_data = column_indices.mutable_data();
    for (py::ssize_t row = 0; row < rows; ++row) {
        if (const std::ptrdiff_t column = (*assigned)[static_cast<std::size_t>(row)]; column != unassigned) {
            *row_data++ = row;
            *column_data++ = column;
        }
    }
    return py::make_tuple(std::move(row_indices), std::move(column_indices));
}

}  // namespace

void register_assignment(py::module_& module) {
    module.def("linear_assignment", &assign, py::arg("cost"),
               R"(linear_assignment(cost)
--

The pairs of rows and columns with the smallest sum of costs, each row and each column in at most one pair.

Shortest augmenting paths (Jonker and Volgenant, Computing, 1987; Crouse, IEEE TAES, 2016) in float64, with
min(R, C)^2 * max(R, C) steps at most. Of assignments with equal sums one is taken, the same each time. The interpreter
lock is released meanwhile.

Args:
    cost: (R, C) numbers, R and C may be 0; +inf forbids a pair.

Returns:
    rows: (min(R, C),) int64, ascending.
    columns: (min(R, C),) int64, the column of each of these rows.

Raises:
    TypeError: cost is no array of integers or floats.
    ValueError: a wrong shape, NaN or -inf, or forbidden pairs leave no assignment of min(R, C) pairs.
)");
}

}  // namespace leanpose::python
