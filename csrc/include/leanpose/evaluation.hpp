// Average precision and recall of matched results, as COCO defines them
// (Lin et al., ECCV 2014; https://cocodataset.org/#keypoints-eval).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "leanpose/matching.hpp"
#include "leanpose/threads.hpp"

namespace leanpose {

// Interpolated precision at given recalls, and the recall reached, for one category, area and threshold. With `weights`
// each picture counts that many times, as if it were drawn so often. Keeps its memory from call to call.
class PrecisionCurve {
public:
    // Writes to `precision` one value for each of the rising `recalls` and returns the recall reached; all are -1 where
    // there is nobody to be found.
    double operator()(const Matches& matches, Cells cells, std::ptrdiff_t category, std::size_t area, int threshold,
                      const std::int32_t* weights, const std::vector<double>& recalls, double* precision) {
        const auto at = [](std::ptrdiff_t index) { return static_cast<std::size_t>(index); };
        const std::ptrdiff_t first_cell = category * cells.pictures;
        const std::int32_t* positives = matches.positives.data() + area * at(cells.count()) + first_cell;
        std::int64_t wanted = 0;
        for (std::ptrdiff_t picture = 0; picture < cells.pictures; ++picture) {
            wanted += std::int64_t{positives[picture]} * (weights == nullptr ? 1 : weights[picture]);
        }
        if (wanted == 0) {
            std::fill(precision, precision + recalls.size(), -1.0);
            return -1.0;
        }
        const std::size_t offset = area * matches.rows.size();
        const std::uint32_t* hits = matches.hits.data() + offset;
        const std::uint32_t* ignored = matches.ignored.data() + offset;
        // Only hits raise the precision, so its maxima from some recall on are found at hits.
        at_hits_.clear();
        std::int64_t found = 0, wrong = 0;
        for (std::ptrdiff_t i = matches.starts[at(category)]; i < matches.starts[at(category + 1)]; ++i) {
            const std::int64_t weight = weights == nullptr ? 1 : weights[matches.cells[at(i)] - first_cell];
            if (hits[i] >> threshold & 1U) {
                found += weight;
                if (weight > 0) {
                    at_hits_.push_back({found, wrong});
                }
            } else if (!(ignored[i] >> threshold & 1U)) {
                wrong += weight;
            }
        }
        const auto total = static_cast<double>(wanted);
        double best = 0.0;
        std::size_t hit = at_hits_.size();
        for (std::size_t r = recalls.size(); r-- > 0;) {
            // from the last recall down: the hits that reach it are those from `hit` on
            while (hit > 0 && static_cast<double>(at_hits_[hit - 1].found) / total >= recalls[r]) {
                --hit;
                const auto tp = static_cast<double>(at_hits_[hit].found), fp = static_cast<double>(at_hits_[hit].wrong);
                best = std::max(best, tp / (fp + tp + std::numeric_limits<double>::epsilon()));
            }
            precision[r] = best;
        }
        return static_cast<double>(found) / total;
    }

private:
    struct Counts {
        std::int64_t found, wrong;
    };
    std::vector<Counts> at_hits_;
};

// Writes `precision` (T, R, C, A) and `recall` (T, C, A), row-major.
inline void accumulate(const Matches& matches, Cells cells, std::size_t areas, int thresholds,
                       const std::vector<double>& recalls, int threads, double* precision, double* recall) {
    const auto area_count = static_cast<std::ptrdiff_t>(areas);
    const std::ptrdiff_t settings = thresholds * cells.categories * area_count;
    parallel_ranges(settings, threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        PrecisionCurve curve;
        std::vector<double> row(recalls.size());
        for (std::ptrdiff_t i = begin; i < end; ++i) {
            const std::ptrdiff_t area = i % area_count, category = i / area_count % cells.categories;
            const std::ptrdiff_t threshold = i / area_count / cells.categories;
            recall[i] = curve(matches, cells, category, static_cast<std::size_t>(area), static_cast<int>(threshold),
                              nullptr, recalls, row.data());
            for (std::size_t r = 0; r < row.size(); ++r) {
                const std::ptrdiff_t line = threshold * static_cast<std::ptrdiff_t>(row.size()) +
                                            static_cast<std::ptrdiff_t>(r);
                precision[(line * cells.categories + category) * area_count + area] = row[r];
            }
        }
    });
}

// Mean precision over the recalls and recall, (S, T, C, A) row-major each, of S samples of pictures: `weights` (S,
// pictures) says how often a sample holds a picture.
inline void resample(const Matches& matches, Cells cells, std::size_t areas, int thresholds,
                     const std::vector<double>& recalls, const std::int32_t* weights, std::ptrdiff_t samples,
                     int threads, double* precision, double* recall) {
    const auto area_count = static_cast<std::ptrdiff_t>(areas);
    parallel_ranges(samples, threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        PrecisionCurve curve;
        std::vector<double> row(recalls.size());
        for (std::ptrdiff_t sample = begin; sample < end; ++sample) {
            std::ptrdiff_t i = sample * thresholds * cells.categories * area_count;
            for (int threshold = 0; threshold < thresholds; ++threshold) {
                for (std::ptrdiff_t category = 0; category < cells.categories; ++category) {
                    for (std::size_t area = 0; area < areas; ++area, ++i) {
                        recall[i] = curve(matches, cells, category, area, threshold,
                                          weights + sample * cells.pictures, recalls, row.data());
                        precision[i] =
                            pairwise_sum(row.data(), static_cast<std::ptrdiff_t>(row.size())) /
                            static_cast<double>(row.size());
                    }
                }
            }
        }
    });
}

}  // namespace leanpose
