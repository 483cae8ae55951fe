// Decoding of SimCC outputs: each keypoint's x and y as the maximum of a one-dimensional distribution over bins
// (Li et al., "SimCC: a Simple Coordinate Classification Perspective for Human Pose Estimation", ECCV 2022).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>

#include "leanpose/geometry.hpp"

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

// Row-major (batch, keypoints, bins) logits of the two axes.
struct SimccLogits {
    const float* x;
    const float* y;
    std::ptrdiff_t batch, keypoints, bins_x, bins_y;
};

struct SimccDecoding {
    double split_ratio;
    ScoreRule score_rule;
    std::optional<double> temperature;  // none: an axis scores its largest logit, not a probability
};

// The first largest of bins >= 1 logits. The score is that logit or, with a temperature, its probability under
// softmax(logits / temperature). A NaN makes the score NaN; the bin is then the largest of the others, or 0.
inline SimccPeak simcc_peak(const float* logits, std::ptrdiff_t bins, std::optional<double> temperature) {
    std::ptrdiff_t peak = 0;
    while (peak < bins && std::isnan(logits[peak])) {
        ++peak;
    }
    if (peak == bins) {
        return {0, std::numeric_limits<float>::quiet_NaN()};
    }
    bool has_nan = peak > 0;
    float largest = logits[peak];
    for (std::ptrdiff_t i = peak + 1; i < bins; ++i) {
        has_nan |= std::isnan(logits[i]);
        if (logits[i] > largest) {
            largest = logits[i];
            peak = i;
        }
    }
    if (has_nan) {
        return {peak, std::numeric_limits<float>::quiet_NaN()};
    }
    if (!temperature) {
        return {peak, largest};
    }
    double total = 0.0;
    for (std::ptrdiff_t i = 0; i < bins; ++i) {
        // equal values count 1 without a subtraction, which would be NaN for infinities
        total += logits[i] == largest
                     ? 1.0F
                     : std::exp(static_cast<float>((static_cast<double>(logits[i]) - largest) / *temperature));
    }
    return {peak, static_cast<float>(1.0 / total)};
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

// Writes to `xy` (batch, keypoints, 2) picture pixels and to `scores` (batch, keypoints), row-major.
// `transforms` holds one input pixel -> picture map for each item of the batch, which may be empty. Needs
// split_ratio > 0, temperature > 0 and keypoints, bins >= 1.
inline void decode_simcc(const SimccLogits& logits, const Affine* transforms, const SimccDecoding& decoding, float* xy,
                         float* scores) {
    for (std::ptrdiff_t b = 0; b < logits.batch; ++b) {
        for (std::ptrdiff_t k = 0; k < logits.keypoints; ++k) {
            const std::ptrdiff_t row = b * logits.keypoints + k;
            const SimccPeak x = simcc_peak(logits.x + row * logits.bins_x, logits.bins_x, decoding.temperature);
            const SimccPeak y = simcc_peak(logits.y + row * logits.bins_y, logits.bins_y, decoding.temperature);
            const Point point = transforms[b](simcc_bin_to_input(static_cast<double>(x.bin), decoding.split_ratio),
                                              simcc_bin_to_input(static_cast<double>(y.bin), decoding.split_ratio));
            xy[2 * row] = static_cast<float>(point.x);
            xy[2 * row + 1] = static_cast<float>(point.y);
            scores[row] = combine_scores(x.score, y.score, decoding.score_rule);
        }
    }
}

}  // namespace leanpose
