// Object keypoint similarity (OKS) and the suppression of duplicate poses by it
// (Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; https://cocodataset.org/#keypoints-eval).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "leanpose/order.hpp"

namespace leanpose {

// Sum in the order in which NumPy adds a contiguous array, so that similarities equal those of pycocotools bit by bit.
inline double pairwise_sum(const double* values, std::ptrdiff_t count) {
    if (count < 8) {
        double sum = 0.0;
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            sum += values[i];
        }
        return sum;
    }
    if (count > 128) {
        const std::ptrdiff_t half = count / 2 - count / 2 % 8;
        return pairwise_sum(values, half) + pairwise_sum(values + half, count - half);
    }
    double part[8];
    std::copy(values, values + 8, part);
    std::ptrdiff_t i = 8;
    for (; i + 8 <= count; i += 8) {
        for (std::ptrdiff_t lane = 0; lane < 8; ++lane) {
            part[lane] += values[i + lane];
        }
    }
    double sum = ((part[0] + part[1]) + (part[2] + part[3])) + ((part[4] + part[5]) + (part[6] + part[7]));
    for (; i < count; ++i) {
        sum += values[i];
    }
    return sum;
}

// The exponents of OKS for one reference pose: a person's labelled keypoints or, where none is labelled, the doubled
// box of COCO's rule for ignored regions. Reused from person to person, which keeps its memory.
class OksReference {
public:
    // `sigmas`: one for each keypoint, positive.
    explicit OksReference(const std::vector<double>& sigmas) {
        for (const double sigma : sigmas) {
            variances_.push_back((sigma * 2.0) * (sigma * 2.0));
        }
        x_.resize(sigmas.size());
        y_.resize(sigmas.size());
        limits_.resize(sigmas.size());
        labelled_.resize(sigmas.size());
        exponents_.resize(sigmas.size());
        similarities_.resize(sigmas.size());
    }

    std::ptrdiff_t keypoints() const { return static_cast<std::ptrdiff_t>(variances_.size()); }

    // `keypoints`: (K, 3) x, y and visibility, labelled where that is above 0; `box`: x, y, width, height.
    void set(const double* keypoints, const double* box, double area) {
        size_ = area + std::numeric_limits<double>::epsilon();
        count_ = 0;
        for (std::ptrdiff_t k = 0; k < this->keypoints(); ++k) {
            x_[at(k)] = keypoints[3 * k];
            y_[at(k)] = keypoints[3 * k + 1];
            labelled_[at(k)] = keypoints[3 * k + 2] > 0.0;
            count_ += labelled_[at(k)];
            limits_[at(k)] = 2.0 * far_exponent * variances_[at(k)] * size_;
        }
        if (count_ == 0) {
            left_ = box[0] - box[2];
            right_ = box[0] + box[2] * 2.0;
            top_ = box[1] - box[3];
            bottom_ = box[1] + box[3] * 2.0;
        }
    }

    // OKS with a pose of K x and K y; NaN where a labelled keypoint's distance is NaN.
    double operator()(const double* x, const double* y) {
        for (std::ptrdiff_t k = 0; k < keypoints(); ++k) {
            const double dx = count_ > 0 ? x[k] - x_[at(k)] : outside(x[k], left_, right_);
            const double dy = count_ > 0 ? y[k] - y_[at(k)] : outside(y[k], top_, bottom_);
            exponents_[at(k)] = (dx * dx + dy * dy) / variances_[at(k)] / size_ / 2.0;
        }
        std::ptrdiff_t used = 0;
        for (std::ptrdiff_t k = 0; k < keypoints(); ++k) {
            if (count_ == 0 || labelled_[at(k)]) {
                similarities_[at(used++)] = std::exp(-exponents_[at(k)]);
            }
        }
        return pairwise_sum(similarities_.data(), used) / static_cast<double>(used);
    }

    // Whether OKS is surely below `threshold`, told without an exponential; false where NaN may come out.
    bool below(const double* x, const double* y, double threshold) const {
        if (count_ == 0 || !(size_ > 0.0)) {
            return false;
        }
        std::int64_t near = 0, unknown = 0;
        for (std::ptrdiff_t k = 0; k < keypoints(); ++k) {
            const double dx = x[k] - x_[at(k)], dy = y[k] - y_[at(k)];
            const double distance = dx * dx + dy * dy;
            near += distance > limits_[at(k)] ? 0 : labelled_[at(k)];
            unknown += distance != distance ? labelled_[at(k)] : 0;
        }
        if (unknown > 0) {
            return false;
        }
        const auto close = static_cast<double>(near), all = static_cast<double>(count_);
        return close + (all - close) * far_similarity < threshold * all;
    }

private:
    // Beyond the exponent a keypoint adds less than the similarity, exp(-5) with a margin for rounding.
    static constexpr double far_exponent = 5.0, far_similarity = 0.0068;

    static std::size_t at(std::ptrdiff_t index) { return static_cast<std::size_t>(index); }

    // Distance to an interval; NaN stays NaN.
    static double outside(double value, double low, double high) {
        const double before = low - value, after = value - high;
        return (before <= 0.0 ? 0.0 : before) + (after <= 0.0 ? 0.0 : after);
    }

    std::vector<double> variances_, x_, y_, limits_, exponents_, similarities_;
    std::vector<std::int64_t> labelled_;
    double size_ = 0.0, left_ = 0.0, right_ = 0.0, top_ = 0.0, bottom_ = 0.0;
    std::ptrdiff_t count_ = 0;
};

// The parts of OKS keypoint by keypoint, (K,): NaN where `labels` (K, 3) has none, 0 where a number is not finite.
inline void keypoint_similarities(const double* labels, double area, const double* pose,
                                  const std::vector<double>& sigmas, double* similarities) {
    const double size = area + std::numeric_limits<double>::epsilon();
    for (std::size_t k = 0; k < sigmas.size(); ++k) {
        const double dx = pose[3 * k] - labels[3 * k], dy = pose[3 * k + 1] - labels[3 * k + 1];
        const double similarity =
            std::exp(-((dx * dx + dy * dy) / ((sigmas[k] * 2.0) * (sigmas[k] * 2.0)) / size / 2.0));
        similarities[k] = !(labels[3 * k + 2] > 0.0)    ? std::numeric_limits<double>::quiet_NaN()
                          : std::isfinite(similarity) ? similarity
                                                      : 0.0;
    }
}

// N poses of K keypoints: (N, K, 2) x, y, NaN where a keypoint was not found, and (N,) areas.
struct PoseSet {
    const double* xy;
    const double* areas;
    std::ptrdiff_t count, keypoints;
};

// OKS of two predicted poses: mean over the keypoints that both have, scaled by the mean of their areas; 0 without any.
inline double pose_similarity(const PoseSet& poses, std::ptrdiff_t first, std::ptrdiff_t second,
                              const std::vector<double>& sigmas) {
    const double* a = poses.xy + 2 * poses.keypoints * first;
    const double* b = poses.xy + 2 * poses.keypoints * second;
    const double size =
        (poses.areas[first] + poses.areas[second]) / 2.0 + std::numeric_limits<double>::epsilon();
    double sum = 0.0;
    int shared = 0;
    for (std::ptrdiff_t k = 0; k < poses.keypoints; ++k) {
        const double dx = b[2 * k] - a[2 * k], dy = b[2 * k + 1] - a[2 * k + 1];
        const double sigma = sigmas[static_cast<std::size_t>(k)];
        const double exponent = (dx * dx + dy * dy) / ((sigma * 2.0) * (sigma * 2.0)) / size / 2.0;
        if (!std::isnan(exponent)) {
            sum += std::exp(-exponent);
            ++shared;
        }
    }
    return shared > 0 ? sum / shared : 0.0;
}

// Greedy suppression: the best pose stays, those whose OKS with it exceeds `threshold` go, and so on. Returns the rows
// that stay, by falling score.
inline std::vector<std::int64_t> oks_nms(const PoseSet& poses, const double* scores,
                                         const std::vector<double>& sigmas, double threshold) {
    std::vector<std::int64_t> kept;
    for (const std::int64_t row : by_score(scores, poses.count)) {
        const bool duplicate = std::any_of(kept.begin(), kept.end(), [&](std::int64_t other) {
            return pose_similarity(poses, other, row, sigmas) > threshold;
        });
        if (!duplicate) {
            kept.push_back(row);
        }
    }
    return kept;
}

enum class Decay { gaussian, linear };

struct SoftKept {
    std::vector<std::int64_t> rows;
    std::vector<double> scores;
};

// Soft suppression: the best pose is taken and the others' scores fall with their OKS to it, until `most` are taken.
// Gaussian: score * exp(-OKS^2 / threshold). Linear: score * (1 - OKS) where OKS >= threshold.
inline SoftKept soft_oks_nms(const PoseSet& poses, const double* scores, const std::vector<double>& sigmas,
                             double threshold, Decay decay, std::ptrdiff_t most) {
    std::vector<std::int64_t> left = by_score(scores, poses.count);
    std::vector<double> decayed(scores, scores + poses.count);
    SoftKept kept;
    while (!left.empty() && static_cast<std::ptrdiff_t>(kept.rows.size()) < most) {
        auto best = left.begin();
        for (auto row = left.begin() + 1; row != left.end(); ++row) {
            // rows stand in their first order, so equal scores keep it; NaN never beats a number
            if (decayed[static_cast<std::size_t>(*row)] > decayed[static_cast<std::size_t>(*best)]) {
                best = row;
            }
        }
        const std::int64_t taken = *best;
        left.erase(best);
        kept.rows.push_back(taken);
        kept.scores.push_back(decayed[static_cast<std::size_t>(taken)]);
        for (const std::int64_t row : left) {
            const double similarity = pose_similarity(poses, taken, row, sigmas);
            double& score = decayed[static_cast<std::size_t>(row)];
            if (decay == Decay::gaussian) {
                score *= std::exp(-similarity * similarity / threshold);
            } else if (similarity >= threshold) {
                score *= 1.0 - similarity;
            }
        }
    }
    return kept;
}

}  // namespace leanpose
