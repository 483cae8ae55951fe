// The Gaussian blur that the field's code takes from OpenCV, for the few cells of a map that are asked for.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace leanpose {

// One heatmap, row-major.
struct Heatmap {
    const float* data;
    std::ptrdiff_t height, width;
    const float* row(std::ptrdiff_t y) const { return data + y * width; }
    float operator()(std::ptrdiff_t x, std::ptrdiff_t y) const { return row(y)[x]; }
};

// What lies beyond the map: zeros, or its mirror image without the edge itself (OpenCV's BORDER_REFLECT_101).
enum class Border { zeros, mirror };

constexpr int largest_blur = 255;

// The taps of cv2.getGaussianKernel(size, 0) for odd sizes from 1 to largest_blur: small ones by table, else of
// sigma = 0.3 * ((size - 1) / 2 - 1) + 0.8.
class GaussianKernel {
public:
    explicit GaussianKernel(int size) : radius_(size / 2), taps_(static_cast<std::size_t>(size)) {
        static constexpr double small[][5] = {
            {1.0}, {0.5, 0.25}, {0.375, 0.25, 0.0625}, {0.28125, 0.21875, 0.109375, 0.03125},
            {60.0 / 256, 51.0 / 256, 30.0 / 256, 13.0 / 256, 4.0 / 256}};
        const double sigma = 0.3 * (radius_ - 1) + 0.8;
        double total = 0.0;
        for (int i = -radius_; i <= radius_; ++i) {
            const double tap = size <= 9 ? small[radius_][std::abs(i)] : std::exp(-0.5 * i * i / (sigma * sigma));
            taps_[static_cast<std::size_t>(i + radius_)] = tap;
            total += tap;
        }
        for (double& tap : taps_) {
            tap /= total;
        }
    }

    int radius() const { return radius_; }
    double operator[](std::ptrdiff_t tap) const { return taps_[static_cast<std::size_t>(tap)]; }  // from 0, the leftmost

private:
    int radius_;
    std::vector<double> taps_;
};

// The cell of `cells` >= 1 that stands at index i, which may lie outside; -1 for a zero.
inline std::ptrdiff_t bordered(std::ptrdiff_t i, std::ptrdiff_t cells, Border border) {
    if (border == Border::zeros) {
        return i >= 0 && i < cells ? i : -1;
    }
    if (cells == 1) {
        return 0;
    }
    while (i < 0 || i >= cells) {
        i = i < 0 ? -i : 2 * (cells - 1) - i;
    }
    return i;
}

// Blurred values of the cells within `reach` of one, which is (0, 0).
template <int reach>
struct Patch {
    double values[2 * reach + 1][2 * reach + 1];
    double operator()(int dx, int dy) const { return values[dy + reach][dx + reach]; }
};

// Equal, to rounding, to the same cells of the whole map when that is blurred.
template <int reach>
Patch<reach> blur_around(const Heatmap& map, std::ptrdiff_t x, std::ptrdiff_t y, const GaussianKernel& kernel,
                         Border border) {
    constexpr std::ptrdiff_t side = 2 * reach + 1;
    constexpr std::size_t largest_span = static_cast<std::size_t>(side) + largest_blur - 1;
    const std::ptrdiff_t radius = kernel.radius();
    const std::ptrdiff_t span = side + 2 * radius;  // of the cells that count, on each axis
    std::array<std::ptrdiff_t, largest_span> columns;
    for (std::ptrdiff_t i = 0; i < span; ++i) {
        columns[static_cast<std::size_t>(i)] = bordered(x - reach - radius + i, map.width, border);
    }
    double sums[side][largest_span];  // down the columns
    for (auto& row : sums) {
        std::fill_n(row, span, 0.0);
    }
    std::array<double, largest_span> cells;
    for (std::ptrdiff_t j = 0; j < span; ++j) {
        const std::ptrdiff_t source = bordered(y - reach - radius + j, map.height, border);
        if (source < 0) {
            continue;
        }
        for (std::size_t i = 0; i < static_cast<std::size_t>(span); ++i) {
            cells[i] = columns[i] < 0 ? 0.0 : static_cast<double>(map(columns[i], source));
        }
        for (std::ptrdiff_t row = std::max<std::ptrdiff_t>(0, j - 2 * radius); row <= std::min(side - 1, j); ++row) {
            const double tap = kernel[j - row];
            for (std::size_t i = 0; i < static_cast<std::size_t>(span); ++i) {
                sums[row][i] += tap * cells[i];
            }
        }
    }
    Patch<reach> patch{};
    for (std::ptrdiff_t row = 0; row < side; ++row) {
        for (std::ptrdiff_t column = 0; column < side; ++column) {
            for (std::ptrdiff_t tap = 0; tap <= 2 * radius; ++tap) {
                patch.values[row][column] += kernel[tap] * sums[row][column + tap];
            }
        }
    }
    return patch;
}

// The largest value of the whole map when that is blurred with zeros beyond it.
inline double blurred_maximum(const Heatmap& map, const GaussianKernel& kernel) {
    const std::ptrdiff_t radius = kernel.radius();
    std::vector<double> sums(static_cast<std::size_t>(map.width));
    double largest = -std::numeric_limits<double>::infinity();
    for (std::ptrdiff_t y = 0; y < map.height; ++y) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (std::ptrdiff_t j = std::max<std::ptrdiff_t>(0, y - radius); j <= std::min(map.height - 1, y + radius); ++j) {
            const double tap = kernel[j - y + radius];
            for (std::ptrdiff_t x = 0; x < map.width; ++x) {
                sums[static_cast<std::size_t>(x)] += tap * static_cast<double>(map(x, j));
            }
        }
        for (std::ptrdiff_t x = 0; x < map.width; ++x) {
            double total = 0.0;
            for (std::ptrdiff_t i = std::max<std::ptrdiff_t>(0, x - radius); i <= std::min(map.width - 1, x + radius);
                 ++i) {
                total += kernel[i - x + radius] * sums[static_cast<std::size_t>(i)];
            }
            largest = std::max(largest, total);
        }
    }
    return largest;
}

}  // namespace leanpose
