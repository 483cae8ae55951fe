// The maximum of a heatmap between its cells: the published refinements of an argmax, as offsets in cells.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "leanpose/gaussian.hpp"

namespace leanpose {

struct CellOffset {
    double x, y;
};

// Newton's step -H^-1 g to the maximum of a function with these derivatives; none where it does not exist or ends more
// than a cell outside the map, where no published code bounds it.
inline CellOffset newton_step(const Heatmap& map, std::ptrdiff_t x, std::ptrdiff_t y, double dx, double dy, double dxx,
                              double dxy, double dyy) {
    const double determinant = dxx * dyy - dxy * dxy;
    const CellOffset step{(dxy * dy - dyy * dx) / determinant, (dxy * dx - dxx * dy) / determinant};
    const double column = static_cast<double>(x) + step.x, row = static_cast<double>(y) + step.y;
    const bool sound = column >= -1.0 && column <= static_cast<double>(map.width) && row >= -1.0 &&
                       row <= static_cast<double>(map.height);  // false for NaN
    return sound ? step : CellOffset{0.0, 0.0};
}

// A quarter of a cell towards the larger neighbour on each axis (Xiao et al., "Simple Baselines for Human Pose
// Estimation and Tracking", ECCV 2018), only where 1 < x < width - 1 and 1 < y < height - 1, as in its code and HRNet's.
inline CellOffset quarter_offset(const Heatmap& map, std::ptrdiff_t x, std::ptrdiff_t y) {
    if (!(1 < x && x < map.width - 1 && 1 < y && y < map.height - 1)) {
        return {0.0, 0.0};
    }
    const auto towards = [](float before, float after) { return 0.25 * ((after > before) - (before > after)); };
    return {towards(map(x - 1, y), map(x + 1, y)), towards(map(x, y - 1), map(x, y + 1))};
}

// Distribution-aware decoding (Zhang et al., "Distribution-Aware Coordinate Representation for Human Pose Estimation",
// CVPR 2020): the map is blurred with zeros beyond it, rescaled to its old maximum, raised to 1e-10 and made logarithms;
// then one Newton step, with second derivatives over two cells, where both neighbours on each side exist.
inline CellOffset dark_offset(const Heatmap& map, std::ptrdiff_t x, std::ptrdiff_t y, const GaussianKernel& kernel) {
    constexpr double floor = 1e-10;
    const double peak = static_cast<double>(map(x, y));
    if (!(1 < x && x < map.width - 2 && 1 < y && y < map.height - 2) || !(peak > 0.0) || !std::isfinite(peak)) {
        return {0.0, 0.0};
    }
    Patch<2> patch = blur_around<2>(map, x, y, kernel, Border::zeros);
    constexpr int used[13][2] = {{0, 0},  {-1, -1}, {0, -1}, {1, -1}, {-1, 0}, {1, 0}, {-1, 1},
                                 {0, 1}, {1, 1},   {-2, 0}, {2, 0},  {0, -2}, {0, 2}};
    const auto value = [&patch](const int(&cell)[2]) -> double& { return patch.values[cell[1] + 2][cell[0] + 2]; };
    // A blur never raises the maximum, so rescaling is by 1 or more: it changes no difference of logarithms, and the
    // maximum of the whole blurred map is needed only where a cell may lie below the floor.
    double scale = 1.0;
    if (std::any_of(used, used + 13, [&value](const int(&cell)[2]) { return !(value(cell) >= floor); })) {
        const double largest = blurred_maximum(map, kernel);
        if (!(largest > 0.0)) {
            return {0.0, 0.0};  // no logarithm of any cell
        }
        scale = peak / largest;
    }
    for (const auto& cell : used) {
        value(cell) = std::log(std::max(value(cell) * scale, floor));
    }
    return newton_step(map, x, y, 0.5 * (patch(1, 0) - patch(-1, 0)), 0.5 * (patch(0, 1) - patch(0, -1)),
                       0.25 * (patch(2, 0) - 2.0 * patch(0, 0) + patch(-2, 0)),
                       0.25 * (patch(1, 1) - patch(1, -1) - patch(-1, 1) + patch(-1, -1)),
                       0.25 * (patch(0, 2) - 2.0 * patch(0, 0) + patch(0, -2)));
}

// The same idea in the code of unbiased data processing (Huang et al., "The Devil is in the Details: Delving into
// Unbiased Data Processing for Human Pose Estimation", CVPR 2020) and of ViTPose: the map is blurred as if mirrored at
// its border, clipped to 0.001 and 50, and the step, from neighbouring cells, is taken at the border too, whose cells
// are repeated outwards. MMPose 1.x blurs with zeros beyond the map: the same further inside than the kernel's radius.
inline CellOffset dark_udp_offset(const Heatmap& map, std::ptrdiff_t x, std::ptrdiff_t y,
                                  const GaussianKernel& kernel) {
    constexpr double epsilon = 1.1920928955078125e-7;  // float32's, which keeps flat maps from dividing by zero
    const Patch<1> patch = blur_around<1>(map, x, y, kernel, Border::mirror);
    const auto at = [&](int dx, int dy) {
        dx = x + dx < 0 || x + dx >= map.width ? 0 : dx;
        dy = y + dy < 0 || y + dy >= map.height ? 0 : dy;
        return std::log(std::clamp(patch(dx, dy), 0.001, 50.0));
    };
    const double center = at(0, 0), left = at(-1, 0), right = at(1, 0), above = at(0, -1), below = at(0, 1);
    return newton_step(map, x, y, 0.5 * (right - left), 0.5 * (below - above), right - 2.0 * center + left + epsilon,
                       0.5 * (at(1, 1) - right - below + 2.0 * center - left - above + at(-1, -1)),
                       below - 2.0 * center + above + epsilon);
}

}  // namespace leanpose
