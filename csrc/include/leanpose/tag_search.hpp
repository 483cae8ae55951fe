// Finds a keypoint of persons by their tags: the pixel with the largest value - round(distance between tags), the
// refinement of HigherHRNet (Cheng et al., CVPR 2020), without looking at all pixels for each person.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

#include "leanpose/local_maxima.hpp"
#include "leanpose/tags.hpp"

namespace leanpose {

// No block can exceed its largest value less the rounded distance to the range of its tags: few need a look. Refers to
// `maxima`, the `block_maxima` of the map, and to `sample`.
class TagSearch {
public:
    TagSearch(const HeatmapView& map, const std::vector<float>& maxima, std::ptrdiff_t keypoint,
              const TagSampler& sample)
        : map_(map),
          maxima_(maxima),
          keypoint_(keypoint),
          sample_(sample),
          length_(static_cast<std::size_t>(sample.length())),
          low_(maxima.size() * length_, std::numeric_limits<double>::infinity()),
          high_(maxima.size() * length_, -std::numeric_limits<double>::infinity()),
          gaps_(maxima.size()),
          bounds_(maxima.size()),
          pixel_tag_(length_) {
        std::vector<float> lows, highs;
        for (std::size_t block = 0; block < maxima.size(); ++block) {
            const Area area = area_of(block);
            if (area.left == 0) {
                sample.column_ranges(keypoint, area.top, area.bottom, lows, highs);
            }
            double* low = low_.data() + block * length_;
            double* high = high_.data() + block * length_;
            sample.widen(area.left, area.right, lows, highs, low, high);
            for (std::size_t t = 0; t < length_; ++t) {
                // blended tags may leave the range by rounding
                const double margin = 1e-12 * std::max(std::abs(low[t]), std::abs(high[t]));
                low[t] -= margin;
                high[t] += margin;
            }
        }
    }

    // The first such pixel in row-major order, or `no_maximum` where its value is not positive.
    LocalMaximum operator()(const std::vector<double>& tag) {
        for (std::size_t block = 0; block < bounds_.size(); ++block) {
            gaps_[block] = gap_to(block, tag);
            bounds_[block] =
                std::isinf(gaps_[block]) ? -gaps_[block] : static_cast<double>(maxima_[block]) - gaps_[block];
        }
        Best best;
        const auto promising = static_cast<std::size_t>(
            std::max_element(bounds_.begin(), bounds_.end()) - bounds_.begin());
        search(promising, tag, best);
        for (std::size_t block = 0; block < bounds_.size(); ++block) {
            if (block != promising && bounds_[block] >= best.objective) {
                search(block, tag, best);
            }
        }
        return best.peak.value > 0.0F ? best.peak : no_maximum;
    }

private:
    struct Area {
        std::ptrdiff_t top, bottom, left, right;
    };

    struct Best {
        double objective = std::numeric_limits<double>::lowest();
        LocalMaximum peak = no_maximum;

        bool beaten_by(double value, std::ptrdiff_t index) const {
            return value > objective || (value == objective && index < peak.index);
        }
    };

    Area area_of(std::size_t block) const {
        const std::ptrdiff_t across = blocks_along(map_.width);
        const std::ptrdiff_t top = static_cast<std::ptrdiff_t>(block) / across * block_side;
        const std::ptrdiff_t left = static_cast<std::ptrdiff_t>(block) % across * block_side;
        return {top, std::min(top + block_side, map_.height), left, std::min(left + block_side, map_.width)};
    }

    // At most the rounded distance to any tag of the block; infinity where all are NaN.
    double gap_to(std::size_t block, const std::vector<double>& tag) const {
        double squares = 0.0;
        for (std::size_t t = 0; t < length_; ++t) {
            const double low = low_[block * length_ + t];
            const double high = high_[block * length_ + t];
            if (!(low <= high)) {
                return std::numeric_limits<double>::infinity();
            }
            const double gap = std::max({low - tag[t], tag[t] - high, 0.0});
            squares += gap * gap;
        }
        return std::nearbyint(std::sqrt(squares));
    }

    void search(std::size_t block, const std::vector<double>& tag, Best& best) {
        const Area area = area_of(block);
        for (std::ptrdiff_t y = area.top; y < area.bottom; ++y) {
            for (std::ptrdiff_t x = area.left; x < area.right; ++x) {
                const LocalMaximum peak{map_.data[y * map_.width + x], y * map_.width + x};
                // the same bound for the pixel: most need no tag
                if (!best.beaten_by(static_cast<double>(peak.value) - gaps_[block], peak.index) ||
                    !std::isfinite(peak.value) || !sample_(keypoint_, y, x, pixel_tag_.data())) {
                    continue;
                }
                const double distance = tag_distance(pixel_tag_.data(), tag.data(), sample_.length());
                const double objective = static_cast<double>(peak.value) - std::nearbyint(distance);
                if (best.beaten_by(objective, peak.index)) {
                    best = {objective, peak};
                }
            }
        }
    }

    HeatmapView map_;
    const std::vector<float>& maxima_;
    std::ptrdiff_t keypoint_;
    const TagSampler& sample_;
    std::size_t length_;
    std::vector<double> low_, high_;     // (blocks, length)
    std::vector<double> gaps_, bounds_;  // of the blocks, for the tag that is searched
    std::vector<double> pixel_tag_;
};

}  // namespace leanpose
