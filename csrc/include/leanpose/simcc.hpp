// Decoding of SimCC outputs: each keypoint's x and y as the maximum of a one-dimensional distribution over bins
// (Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV 2022).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

#include "leanpose/geometry.hpp"
#include "leanpose/mirror.hpp"
#include "leanpose/peak.hpp"
#include "leanpose/subbin.hpp"

namespace leanpose {

// The single place of the convention between bins and input pixels: bin b lies at input pixel b / split_ratio.
constexpr double simcc_bin_to_input(double bin, double split_ratio) {
    return bin / split_ratio;
}

constexpr double simcc_input_to_bin(double input, double split_ratio) {
    return input * split_ratio;
}

// How the scores of the two axes make the score of a keypoint.
enum class ScoreRule { min, mean, max, product };

struct SimccPeak {
    std::ptrdiff_t bin;
    float score;
};

// Logits of one axis: `bins` for each keypoint, keypoint after keypoint, and `stride` floats from person to person.
struct SimccAxis {
    const float* data;
    std::ptrdiff_t bins, stride;

    const float* row(std::ptrdiff_t person, std::ptrdiff_t keypoint) const {
        return data + person * stride + keypoint * bins;
    }
};

struct SimccLogits {
    SimccAxis x, y;
};

// Logits of the mirror images (input pixel u to width - 1 - u) of the same persons, for the flip test.
struct SimccFlip {
    SimccLogits logits;
    const std::ptrdiff_t* index;  // keypoint k of the picture is keypoint index[k] of its mirror image
};

struct SimccDecoding {
    double split_ratio;
    ScoreRule score_rule = ScoreRule::min;
    std::optional<double> temperature = {};  // none: an axis scores its largest logit, not a probability
    bool refine = false;                     // whether the parabola around the largest bin gives its fraction
};

}  // namespace leanpose

#define LEANPOSE_KERNELS "leanpose/simcc_kernels.inl"
#include "leanpose/simd/foreach.hpp"

namespace leanpose {

// The first largest of bins >= 1 logits. The score is that logit or, with a temperature, its probability under
// softmax(logits / temperature). A NaN makes the score NaN; the bin is then the largest of the others, or 0.
inline SimccPeak simcc_peak(const float* logits, std::ptrdiff_t bins, std::optional<double> temperature) {
    const Peak peak = find_peak(logits, bins);
    if (peak.has_nan) {
        return {peak.index, std::numeric_limits<float>::quiet_NaN()};
    }
    if (!temperature) {
        return {peak.index, peak.value};
    }
    if (!std::isfinite(peak.value)) {  // the equals of an infinite maximum share all of the probability
        return {peak.index, 1.0F / static_cast<float>(std::count(logits, logits + bins, peak.value))};
    }
    const double factor = std::min(1.0 / *temperature, static_cast<double>(std::numeric_limits<float>::max()));
    return {peak.index, 1.0F / LEANPOSE_DISPATCH(sum_of_exponentials, logits, bins, peak.value,
                                                 static_cast<float>(factor))};
}

// NaN where either score is NaN.
inline float combine_scores(float x, float y, ScoreRule rule) {
    if (std::isnan(x) || std::isnan(y)) {
        return std::numeric_limits<float>::quiet_NaN();
    }
    switch (rule) {
        case ScoreRule::min: return std::min(x, y);
        case ScoreRule::mean: return 0.5F * x + 0.5F * y;
        case ScoreRule::max: return std::max(x, y);
        case ScoreRule::product: return x * y;
    }
    return std::numeric_limits<float>::quiet_NaN();
}

namespace detail {

// The axis position and score of one keypoint.
struct SimccReading {
    double bin;
    float score;
};

inline SimccReading read_simcc(const float* logits, std::ptrdiff_t bins, const SimccDecoding& decoding) {
    const SimccPeak peak = simcc_peak(logits, bins, decoding.temperature);
    const double fraction = decoding.refine ? refine_peak_1d(logits, bins, peak.bin) : 0.0;
    return {static_cast<double>(peak.bin) + fraction, peak.score};
}

}  // namespace detail

// Writes to `xy` (batch, keypoints, 2) picture pixels and to `scores` (batch, keypoints), row-major.
// `transforms` holds one input pixel -> picture map for each of the `batch` persons, of which there may be none. With
// `flip`, the mean of a person's logits and of those for the mirror image is decoded; their bins must agree, and the
// mean is exact where split_ratio is an integer. Needs split_ratio > 0, temperature > 0 and keypoints, bins >= 1.
inline void decode_simcc(const SimccLogits& logits, const SimccFlip* flip, std::ptrdiff_t batch,
                         std::ptrdiff_t keypoints, const Affine* transforms, const SimccDecoding& decoding, float* xy,
                         float* scores) {
    // Pixel u goes to width - 1 - u, so bin b to bins - split_ratio - b: mirrored, that lies split_ratio - 1 bins on.
    const std::ptrdiff_t shift = std::clamp<std::ptrdiff_t>(
        static_cast<std::ptrdiff_t>(std::min(std::nearbyint(decoding.split_ratio), 1e9)) - 1, 0, logits.x.bins - 1);
    std::vector<float> mean(flip ? static_cast<std::size_t>(std::max(logits.x.bins, logits.y.bins)) : 0);
    for (std::ptrdiff_t b = 0; b < batch; ++b) {
        for (std::ptrdiff_t k = 0; k < keypoints; ++k) {
            const float* row = logits.x.row(b, k);
            if (flip) {
                mean_with_mirrored(row, flip->logits.x.row(b, flip->index[k]), 1, logits.x.bins, -shift, mean.data());
                row = mean.data();
            }
            const detail::SimccReading x = detail::read_simcc(row, logits.x.bins, decoding);
            row = logits.y.row(b, k);
            if (flip) {
                LEANPOSE_DISPATCH(mean_of_rows, row, flip->logits.y.row(b, flip->index[k]), logits.y.bins, mean.data());
                row = mean.data();
            }
            const detail::SimccReading y = detail::read_simcc(row, logits.y.bins, decoding);
            const Point point = transforms[b](simcc_bin_to_input(x.bin, decoding.split_ratio),
                                              simcc_bin_to_input(y.bin, decoding.split_ratio));
            const std::ptrdiff_t i = b * keypoints + k;
            xy[2 * i] = static_cast<float>(point.x);
            xy[2 * i + 1] = static_cast<float>(point.y);
            scores[i] = combine_scores(x.score, y.score, decoding.score_rule);
        }
    }
}

}  // namespace leanpose
