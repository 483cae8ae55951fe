// Linear assignment against brute force, and at the ends of the range of doubles.
#include <algorithm>
#include <cstddef>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/assignment.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

constexpr double infinity = std::numeric_limits<double>::infinity();

double total(const std::vector<double>& cost, std::ptrdiff_t columns, const std::vector<std::ptrdiff_t>& assigned) {
    double sum = 0.0;
    for (std::size_t row = 0; row < assigned.size(); ++row) {
        if (assigned[row] != unassigned) {
            sum += cost[row * static_cast<std::size_t>(columns) + static_cast<std::size_t>(assigned[row])];
        }
    }
    return sum;
}

// The smallest sum over all permutations of the longer side.
double smallest(const std::vector<double>& cost, std::ptrdiff_t rows, std::ptrdiff_t columns) {
    std::vector<std::ptrdiff_t> order(static_cast<std::size_t>(std::max(rows, columns)));
    std::iota(order.begin(), order.end(), std::ptrdiff_t{0});
    double best = infinity;
    do {
        double sum = 0.0;
        for (std::ptrdiff_t i = 0; i < std::min(rows, columns); ++i) {
            const std::ptrdiff_t other = order[static_cast<std::size_t>(i)];
            sum += cost[static_cast<std::size_t>(rows <= columns ? i * columns + other : other * columns + i)];
        }
        best = std::min(best, sum);
    } while (std::next_permutation(order.begin(), order.end()));
    return best;
}

void test_matches_brute_force() {
    std::mt19937 random(7);
    std::uniform_int_distribution<int> value(-4, 9);  // many ties; 9 forbids the pair
    for (std::ptrdiff_t rows = 0; rows <= 5; ++rows) {
        for (std::ptrdiff_t columns = 0; columns <= 5; ++columns) {
            for (int repeat = 0; repeat < 20; ++repeat) {
                std::vector<double> cost(static_cast<std::size_t>(rows * columns));
                for (double& c : cost) {
                    const int v = value(random);
                    c = v == 9 ? infinity : v;
                }
                const auto assigned = linear_assignment(cost.data(), rows, columns);
                const double best = smallest(cost, rows, columns);
                CHECK(assigned.has_value() == (best < infinity));
                if (assigned) {
                    CHECK(static_cast<std::ptrdiff_t>(assigned->size()) == rows);
                    CHECK(std::count_if(assigned->begin(), assigned->end(), [](auto c) { return c != unassigned; }) ==
                          std::min(rows, columns));
                    CHECK(total(cost, columns, *assigned) == best);
                }
            }
        }
    }
}

void test_extremes() {
    constexpr double huge = std::numeric_limits<double>::max();
    const std::vector<double> cost{huge, -huge, huge, -huge, huge, huge, huge, huge, 0.0};
    CHECK((*linear_assignment(cost.data(), 3, 3) == std::vector<std::ptrdiff_t>{1, 0, 2}));
    const std::vector<double> forbidden(4, infinity);
    CHECK(!linear_assignment(forbidden.data(), 2, 2));
    CHECK(linear_assignment(nullptr, 0, 3)->empty());
    CHECK((*linear_assignment(nullptr, 2, 0) == std::vector<std::ptrdiff_t>{unassigned, unassigned}));
    const std::vector<double> column{3.0, 1.0, 2.0};
    CHECK((*linear_assignment(column.data(), 3, 1) == std::vector<std::ptrdiff_t>{unassigned, 0, unassigned}));
}

}  // namespace

int main() {
    test_matches_brute_force();
    test_extremes();
    return failed();
}
