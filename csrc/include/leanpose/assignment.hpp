// The assignment of rows to columns with the smallest sum of costs, by shortest augmenting paths (Jonker and Volgenant,
// "A Shortest Augmenting Path Algorithm for Dense and Sparse Linear Assignment Problems", Computing, 1987; for
// rectangular matrices as in Crouse, "On implementing 2D rectangular assignment algorithms", IEEE TAES, 2016).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>
#include <optional>
#include <utility>
#include <vector>

namespace leanpose {

// What `linear_assignment` gives to a row without a column.
constexpr std::ptrdiff_t unassigned = -1;

namespace detail {

// Grows an assignment row by row; needs rows <= columns. Duals keep cost(i, j) >= row_dual[i] + column_dual[j], with
// equality for assigned pairs, so that each shortest path can be searched as by Dijkstra.
template <class Cost>
class AugmentingPaths {
public:
    AugmentingPaths(std::ptrdiff_t rows, std::ptrdiff_t columns, Cost cost)
        : cost_(std::move(cost)),
          row_dual_(static_cast<std::size_t>(rows)),
          column_dual_(static_cast<std::size_t>(columns)),
          distance_(static_cast<std::size_t>(columns)),
          column_of_(static_cast<std::size_t>(rows), unassigned),
          row_of_(static_cast<std::size_t>(columns), unassigned),
          previous_row_(static_cast<std::size_t>(columns)) {}

    // Whether `row` got a column; the rows before it keep one, perhaps another.
    bool add(std::ptrdiff_t row) {
        std::fill(distance_.begin(), distance_.end(), std::numeric_limits<double>::infinity());
        open_.resize(row_of_.size());
        std::iota(open_.begin(), open_.end(), std::ptrdiff_t{0});
        closed_.clear();
        double length = 0.0;  // of the shortest path to the column that was closed last
        for (std::ptrdiff_t i = row;;) {
            const std::size_t nearest = relax(i, length);
            const std::ptrdiff_t column = open_[nearest];
            length = distance_[at(column)];
            if (std::isinf(length)) {
                return false;
            }
            open_[nearest] = open_.back();
            open_.pop_back();
            if (row_of_[at(column)] == unassigned) {
                update_duals(row, length);
                augment(row, column);
                return true;
            }
            closed_.push_back(column);
            i = row_of_[at(column)];
        }
    }

    const std::vector<std::ptrdiff_t>& columns() const { return column_of_; }
    const std::vector<std::ptrdiff_t>& rows() const { return row_of_; }

private:
    static std::size_t at(std::ptrdiff_t index) { return static_cast<std::size_t>(index); }

    // The position in `open_` of the nearest column, a free one among equals, once paths through row i are known.
    std::size_t relax(std::ptrdiff_t i, double length) {
        std::size_t nearest = 0;
        for (std::size_t position = 0; position < open_.size(); ++position) {
            const std::size_t j = at(open_[position]);
            const double through = length + (cost_(i, open_[position]) - row_dual_[at(i)] - column_dual_[j]);
            if (through < distance_[j]) {
                distance_[j] = through;
                previous_row_[j] = i;
            }
            const std::size_t best = at(open_[nearest]);
            if (distance_[j] < distance_[best] ||
                (distance_[j] == distance_[best] && row_of_[j] == unassigned && row_of_[best] != unassigned)) {
                nearest = position;
            }
        }
        return nearest;
    }

    void update_duals(std::ptrdiff_t row, double length) {
        row_dual_[at(row)] += length;
        for (const std::ptrdiff_t column : closed_) {
            const double slack = length - distance_[at(column)];
            row_dual_[at(row_of_[at(column)])] += slack;
            column_dual_[at(column)] -= slack;
        }
    }

    // Swaps the pairs along the path that ends in `column`.
    void augment(std::ptrdiff_t row, std::ptrdiff_t column) {
        for (std::ptrdiff_t i = unassigned; i != row;) {
            i = previous_row_[at(column)];
            row_of_[at(column)] = i;
            std::swap(column, column_of_[at(i)]);
        }
    }

    Cost cost_;
    std::vector<double> row_dual_, column_dual_, distance_;
    std::vector<std::ptrdiff_t> column_of_, row_of_, previous_row_, open_, closed_;
};

}  // namespace detail

// The column of each row, or `unassigned`, with the smallest sum of costs among all assignments of min(rows, columns)
// pairs; nullopt where infinities leave none. `cost` is row-major (rows, columns), without NaN; +infinity forbids a
// pair, -infinity must not occur. Equal sums are broken in an unspecified way that is the same each time.
// O(min(rows, columns)^2 max(rows, columns)) time.
inline std::optional<std::vector<std::ptrdiff_t>> linear_assignment(const double* cost, std::ptrdiff_t rows,
                                                                    std::ptrdiff_t columns) {
    double largest = 0.0;
    for (std::ptrdiff_t i = 0; i < rows * columns; ++i) {
        largest = std::isinf(cost[i]) ? largest : std::max(largest, std::abs(cost[i]));
    }
    // sums along a path must not overflow; what so small a power of two rounds away is lost in such sums anyway
    const double scale = largest > 0x1p960 ? 0x1p-64 : 1.0;
    const bool wide = rows <= columns;
    const auto paths_cost = [=](std::ptrdiff_t i, std::ptrdiff_t j) {
        return scale * (wide ? cost[i * columns + j] : cost[j * columns + i]);
    };
    detail::AugmentingPaths paths(std::min(rows, columns), std::max(rows, columns), paths_cost);
    for (std::ptrdiff_t i = 0; i < std::min(rows, columns); ++i) {
        if (!paths.add(i)) {
            return std::nullopt;
        }
    }
    return wide ? paths.columns() : paths.rows();
}

}  // namespace leanpose
