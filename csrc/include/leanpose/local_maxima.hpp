// Local maxima of a heatmap. The one pass over all pixels only takes the largest value of each block of pixels; the
// few blocks that can hold a maximum are then looked at pixel by pixel.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace leanpose {

// Row-major (height, width) values of one keypoint.
struct HeatmapView {
    const float* data;
    std::ptrdiff_t height, width;
};

// `index` is y * width + x.
struct LocalMaximum {
    float value;
    std::ptrdiff_t index;
};

constexpr LocalMaximum no_maximum{0.0F, -1};

struct MaximaRule {
    float threshold;        // which a maximum exceeds
    std::ptrdiff_t radius;  // of the square window in which it is the largest: 2 for one of 5 x 5
    std::ptrdiff_t limit;   // so many are taken, the largest
};

constexpr std::ptrdiff_t block_side = 16;

constexpr std::ptrdiff_t blocks_along(std::ptrdiff_t length) {
    return (length + block_side - 1) / block_side;
}

// The largest value of each block of block_side x block_side pixels, blocks in row-major order; NaN does not count, and
// a block of nothing else has -infinity.
inline std::vector<float> block_maxima(const HeatmapView& map) {
    constexpr float lowest = -std::numeric_limits<float>::infinity();
    std::vector<float> maxima;
    maxima.reserve(static_cast<std::size_t>(blocks_along(map.height) * blocks_along(map.width)));
    std::vector<float> columns(static_cast<std::size_t>(map.width));
    for (std::ptrdiff_t top = 0; top < map.height; top += block_side) {
        std::fill(columns.begin(), columns.end(), lowest);
        for (std::ptrdiff_t y = top; y < std::min(top + block_side, map.height); ++y) {
            const float* row = map.data + y * map.width;
            float* largest = columns.data();
            for (std::ptrdiff_t x = 0; x < map.width; ++x) {
                largest[x] = row[x] > largest[x] ? row[x] : largest[x];
            }
        }
        for (std::ptrdiff_t left = 0; left < map.width; left += block_side) {
            const auto first = columns.begin() + left;
            maxima.push_back(*std::max_element(first, first + std::min(block_side, map.width - left)));
        }
    }
    return maxima;
}

// Whether (x, y) holds the largest finite value of the window around it and, in row-major order, the first of equal
// ones: a plateau that fits the window is one maximum.
inline bool is_local_maximum(const HeatmapView& map, std::ptrdiff_t y, std::ptrdiff_t x, std::ptrdiff_t radius) {
    const float value = map.data[y * map.width + x];
    if (!std::isfinite(value)) {
        return false;
    }
    for (std::ptrdiff_t v = std::max(y - radius, std::ptrdiff_t{0}); v <= std::min(y + radius, map.height - 1); ++v) {
        const float* row = map.data + v * map.width;
        for (std::ptrdiff_t u = std::max(x - radius, std::ptrdiff_t{0}); u <= std::min(x + radius, map.width - 1);
             ++u) {
            const bool earlier = v < y || (v == y && u < x);
            if (std::isfinite(row[u]) && (row[u] > value || (earlier && row[u] == value))) {
                return false;
            }
        }
    }
    return true;
}

// Descending by value, equal ones by index. `maxima` are the `block_maxima` of the map.
inline std::vector<LocalMaximum> find_local_maxima(const HeatmapView& map, const std::vector<float>& maxima,
                                                   const MaximaRule& rule) {
    const auto better = [](const LocalMaximum& a, const LocalMaximum& b) {
        return a.value > b.value || (a.value == b.value && a.index < b.index);
    };
    std::vector<LocalMaximum> peaks;  // a heap with the worst in front
    const auto wanted = [&](const LocalMaximum& peak) {
        return static_cast<std::ptrdiff_t>(peaks.size()) < rule.limit || better(peak, peaks.front());
    };
    auto maximum = maxima.begin();
    for (std::ptrdiff_t top = 0; top < map.height; top += block_side) {
        for (std::ptrdiff_t left = 0; left < map.width; left += block_side, ++maximum) {
            if (!(*maximum > rule.threshold) || !wanted({*maximum, 0})) {
                continue;
            }
            for (std::ptrdiff_t y = top; y < std::min(top + block_side, map.height); ++y) {
                for (std::ptrdiff_t x = left; x < std::min(left + block_side, map.width); ++x) {
                    const LocalMaximum peak{map.data[y * map.width + x], y * map.width + x};
                    if (!(peak.value > rule.threshold) || !wanted(peak) || !is_local_maximum(map, y, x, rule.radius)) {
                        continue;
                    }
                    if (static_cast<std::ptrdiff_t>(peaks.size()) == rule.limit) {
                        std::pop_heap(peaks.begin(), peaks.end(), better);
                        peaks.pop_back();
                    }
                    peaks.push_back(peak);
                    std::push_heap(peaks.begin(), peaks.end(), better);
                }
            }
        }
    }
    std::sort_heap(peaks.begin(), peaks.end(), better);
    return peaks;
}

}  // namespace leanpose
