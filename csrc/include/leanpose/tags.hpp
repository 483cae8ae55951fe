// Tag maps of associative embedding: one vector for each keypoint and pixel, near those of the same person's keypoints.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace leanpose {

// Row-major (keypoints, height, width, length) values; the resolution need not be that of the heatmaps.
struct TagMaps {
    const float* data;
    std::ptrdiff_t height, width, length;
};

// Euclidean, of two tags of `length` values.
inline double tag_distance(const double* a, const double* b, std::ptrdiff_t length) {
    double squares = 0.0;
    for (std::ptrdiff_t t = 0; t < length; ++t) {
        squares += (a[t] - b[t]) * (a[t] - b[t]);
    }
    return std::sqrt(squares);
}

// Tags at the pixels of heatmaps, bilinear where the resolutions differ: heatmap pixel x lies at
// (x + 0.5) * w / W - 0.5 of the w tags across W pixels, clamped to the first and last (in PyTorch:
// interpolate(mode="bilinear", align_corners=False)). This is the upsampling of SRPose (Wang et al., "Lightweight
// Super-Resolution Head for Human Pose Estimation", ACM MM 2023, equation 6), one pixel at a time.
class TagSampler {
public:
    TagSampler(const TagMaps& maps, std::ptrdiff_t height, std::ptrdiff_t width)
        : maps_(maps), rows_(neighbours(maps.height, height)), columns_(neighbours(maps.width, width)) {}

    std::ptrdiff_t length() const { return maps_.length; }

    // Writes the tag of a keypoint at a heatmap pixel; false where it is not finite.
    bool operator()(std::ptrdiff_t keypoint, std::ptrdiff_t y, std::ptrdiff_t x, double* tag) const {
        const Neighbours& row = rows_[static_cast<std::size_t>(y)];
        const Neighbours& column = columns_[static_cast<std::size_t>(x)];
        const float* above = at(keypoint, row.first, 0);
        const float* below = at(keypoint, row.second, 0);
        const std::ptrdiff_t left = column.first * maps_.length;
        const std::ptrdiff_t right = column.second * maps_.length;
        bool finite = true;
        for (std::ptrdiff_t t = 0; t < maps_.length; ++t) {
            const double top = blend(above[left + t], above[right + t], column.weight);
            tag[t] = blend(top, blend(below[left + t], below[right + t], column.weight), row.weight);
            finite &= std::isfinite(tag[t]);
        }
        return finite;
    }

    // The smallest and largest tag, NaN aside, in each column of those that pixel rows [y0, y1) are blended from:
    // (width, length) values each.
    void column_ranges(std::ptrdiff_t keypoint, std::ptrdiff_t y0, std::ptrdiff_t y1, std::vector<float>& lows,
                       std::vector<float>& highs) const {
        const std::ptrdiff_t values = maps_.width * maps_.length;
        lows.assign(static_cast<std::size_t>(values), std::numeric_limits<float>::infinity());
        highs.assign(static_cast<std::size_t>(values), -std::numeric_limits<float>::infinity());
        float* low = lows.data();
        float* high = highs.data();
        const std::ptrdiff_t last = rows_[static_cast<std::size_t>(y1 - 1)].second;
        for (std::ptrdiff_t y = rows_[static_cast<std::size_t>(y0)].first; y <= last; ++y) {
            const float* row = at(keypoint, y, 0);
            for (std::ptrdiff_t i = 0; i < values; ++i) {
                low[i] = row[i] < low[i] ? row[i] : low[i];
                high[i] = row[i] > high[i] ? row[i] : high[i];
            }
        }
    }

    // Widens low and high (length values each) to those columns that pixel columns [x0, x1) are blended from.
    void widen(std::ptrdiff_t x0, std::ptrdiff_t x1, const std::vector<float>& lows, const std::vector<float>& highs,
               double* low, double* high) const {
        const std::ptrdiff_t last = columns_[static_cast<std::size_t>(x1 - 1)].second;
        for (std::ptrdiff_t x = columns_[static_cast<std::size_t>(x0)].first; x <= last; ++x) {
            for (std::ptrdiff_t t = 0; t < maps_.length; ++t) {
                const auto i = static_cast<std::size_t>(x * maps_.length + t);
                low[t] = std::min(low[t], static_cast<double>(lows[i]));
                high[t] = std::max(high[t], static_cast<double>(highs[i]));
            }
        }
    }

private:
    // The two tags beside a pixel on one axis and the weight of the second; one and the same where that is 0.
    struct Neighbours {
        std::ptrdiff_t first, second;
        double weight;
    };

    static std::vector<Neighbours> neighbours(std::ptrdiff_t tags, std::ptrdiff_t pixels) {
        const double step = static_cast<double>(tags) / static_cast<double>(pixels);
        std::vector<Neighbours> result;
        result.reserve(static_cast<std::size_t>(pixels));
        for (std::ptrdiff_t pixel = 0; pixel < pixels; ++pixel) {
            const double position = std::clamp((static_cast<double>(pixel) + 0.5) * step - 0.5, 0.0,
                                               static_cast<double>(tags - 1));
            const auto first = static_cast<std::ptrdiff_t>(position);
            const double weight = position - static_cast<double>(first);
            result.push_back({first, weight > 0.0 ? first + 1 : first, weight});
        }
        return result;
    }

    static double blend(double a, double b, double weight) { return (1.0 - weight) * a + weight * b; }

    const float* at(std::ptrdiff_t keypoint, std::ptrdiff_t y, std::ptrdiff_t x) const {
        return maps_.data + ((keypoint * maps_.height + y) * maps_.width + x) * maps_.length;
    }

    TagMaps maps_;
    std::vector<Neighbours> rows_, columns_;
};

}  // namespace leanpose
