// Suppression of boxes that cover the same thing.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "leanpose/order.hpp"

namespace leanpose {

// Greedy suppression whatever the class: the best box stays, those whose intersection over union with it exceeds
// `threshold` go, and so on. `boxes` are x1, y1, x2, y2 one after the other. Returns the rows that stay, by falling
// score; of equal scores the earlier row, NaN last. Boxes without area, or with NaN or an infinity, overlap nothing.
template <class Number>
std::vector<std::int64_t> nms(const Number* boxes, const Number* scores, std::ptrdiff_t count, double threshold) {
    std::vector<std::int64_t> kept;
    std::vector<std::array<double, 5>> corners;  // of the kept boxes, with their areas
    for (const std::int64_t row : by_score(scores, count)) {
        const Number* const box = boxes + 4 * row;
        // in double, so that no finite float32 box has an infinite area
        const double x1 = box[0], y1 = box[1], x2 = box[2], y2 = box[3];
        const double area = (x2 - x1) * (y2 - y1);
        const bool duplicate = std::any_of(corners.begin(), corners.end(), [&](const std::array<double, 5>& other) {
            const double width = std::min(x2, other[2]) - std::max(x1, other[0]);
            const double height = std::min(y2, other[3]) - std::max(y1, other[1]);
            const double shared = width * height;  // NaN, as any of the boxes gives it, compares false below
            return width > 0.0 && height > 0.0 && shared / (area + other[4] - shared) > threshold;
        });
        if (!duplicate) {
            kept.push_back(row);
            corners.push_back({x1, y1, x2, y2, area});
        }
    }
    return kept;
}

}  // namespace leanpose
