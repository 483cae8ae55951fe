// The last step of a detector: what its boxes, in pixels of its input, leave of persons in the picture.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "leanpose/geometry.hpp"
#include "leanpose/nms.hpp"

namespace leanpose {

// Best first; `boxes` are x1, y1, x2, y2 one after the other.
struct Detections {
    std::vector<float> boxes, scores;
};

// Drops what is not finite, suppresses as nms does, maps by `transform` (of which xv and yu are not looked at) and
// clips to a picture of width x height; boxes of which nothing is left go. `boxes` take the edges of the input's first
// pixel for 0 and 1, as those returned take the picture's.
template <class Number>
Detections detections(const Number* boxes, const Number* scores, std::ptrdiff_t count, double threshold,
                      const Affine& transform, int width, int height) {
    std::vector<Number> finite_boxes, finite_scores;
    for (std::ptrdiff_t row = 0; row < count; ++row) {
        const Number* const box = boxes + 4 * row;
        if (std::isfinite(scores[row]) && std::all_of(box, box + 4, [](Number side) { return std::isfinite(side); })) {
            finite_boxes.insert(finite_boxes.end(), box, box + 4);
            finite_scores.push_back(scores[row]);
        }
    }
    // edges of pixels lie half a pixel before their centres, in the input as in the picture
    const auto mapped = [](double side, double step, double offset, int length) {
        return static_cast<float>(std::clamp((side - 0.5) * step + offset + 0.5, 0.0, static_cast<double>(length)));
    };
    Detections found;
    const auto rows = static_cast<std::ptrdiff_t>(finite_scores.size());
    for (const std::int64_t row : nms(finite_boxes.data(), finite_scores.data(), rows, threshold)) {
        const Number* const box = finite_boxes.data() + 4 * row;
        const std::array<float, 4> clipped{mapped(box[0], transform.xu, transform.xc, width),
                                           mapped(box[1], transform.yv, transform.yc, height),
                                           mapped(box[2], transform.xu, transform.xc, width),
                                           mapped(box[3], transform.yv, transform.yc, height)};
        if (clipped[0] < clipped[2] && clipped[1] < clipped[3]) {
            found.boxes.insert(found.boxes.end(), clipped.begin(), clipped.end());
            found.scores.push_back(static_cast<float>(finite_scores[static_cast<std::size_t>(row)]));
        }
    }
    return found;
}

}  // namespace leanpose
