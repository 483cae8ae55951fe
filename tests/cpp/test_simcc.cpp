// SimCC decoding with ties, NaN and infinities.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <vector>

#include "check.hpp"
#include "leanpose/geometry.hpp"
#include "leanpose/simcc.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

void test_simcc_peak() {
    const std::vector<float> tie{1.0F, 3.0F, 3.0F, 2.0F};
    CHECK(simcc_peak(tie.data(), 4, {}).bin == 1 && simcc_peak(tie.data(), 4, {}).score == 3.0F);
    const double total = 2.0 + std::exp(-2.0 / 0.5) + std::exp(-1.0 / 0.5);
    CHECK(near(simcc_peak(tie.data(), 4, 0.5).score, 1.0 / total, 1e-6));

    const std::vector<float> with_nan{NaN, 1.0F, NaN, 5.0F, -inf};
    CHECK(simcc_peak(with_nan.data(), 5, {}).bin == 3 && std::isnan(simcc_peak(with_nan.data(), 5, {}).score));
    const std::vector<float> only_nan{NaN, NaN};
    CHECK(simcc_peak(only_nan.data(), 2, 1.0).bin == 0 && std::isnan(simcc_peak(only_nan.data(), 2, 1.0).score));

    const std::vector<float> low{-inf, -inf};
    CHECK(simcc_peak(low.data(), 2, {}).bin == 0 && simcc_peak(low.data(), 2, {}).score == -inf);
    CHECK(near(simcc_peak(low.data(), 2, 1.0).score, 0.5));
    const std::vector<float> high{0.0F, inf, -inf, inf};
    CHECK(simcc_peak(high.data(), 4, 1.0).bin == 1 && near(simcc_peak(high.data(), 4, 1.0).score, 0.5));
    const std::vector<float> extremes{-3e38F, 3e38F};
    for (const double temperature : {1e-310, 1.0, 1e300}) {
        const float score = simcc_peak(extremes.data(), 2, temperature).score;
        CHECK(score >= 0.5F && score <= 1.0F);
    }
}

void test_scores() {
    CHECK(combine_scores(0.2F, 0.6F, ScoreRule::min) == 0.2F);
    CHECK(combine_scores(0.2F, 0.6F, ScoreRule::max) == 0.6F);
    CHECK(near(combine_scores(0.2F, 0.6F, ScoreRule::mean), 0.4));
    CHECK(near(combine_scores(0.2F, 0.6F, ScoreRule::product), 0.12));
    for (const ScoreRule rule : {ScoreRule::min, ScoreRule::mean, ScoreRule::max, ScoreRule::product}) {
        CHECK(std::isnan(combine_scores(NaN, 1.0F, rule)) && std::isnan(combine_scores(1.0F, NaN, rule)));
    }
}

void test_decode() {
    for (const double bin : {0.0, 1.0, 37.0}) {
        CHECK(near(simcc_input_to_bin(simcc_bin_to_input(bin, 2.5), 2.5), bin, 1e-12));
    }
    // two pictures, two keypoints, three and four bins
    const std::vector<float> x{0, 1, 0, /**/ 0, 0, 2, /**/ 3, 0, 0, /**/ 0, 4, 0};
    const std::vector<float> y{0, 0, 0, 9, /**/ 0, 8, 0, 0, /**/ 7, 0, 0, 0, /**/ 0, 0, 6, 0};
    const std::vector<Affine> transforms{{1, 0, 0, 0, 1, 0}, {2, 0, 100, 0, 3, 200}};
    std::vector<float> xy(8, NaN), scores(4, NaN);
    const SimccDecoding decoding{2.0, ScoreRule::min, {}};
    const SimccLogits logits{{x.data(), 3, 6}, {y.data(), 4, 8}};
    decode_simcc(logits, nullptr, 2, 2, transforms.data(), decoding, xy.data(), scores.data());
    CHECK((xy == std::vector<float>{0.5F, 1.5F, 1.0F, 0.5F, 100.0F, 200.0F, 101.0F, 203.0F}));
    CHECK((scores == std::vector<float>{1.0F, 2.0F, 3.0F, 4.0F}));
    decode_simcc({}, nullptr, 0, 2, nullptr, decoding, nullptr, nullptr);
}

// Buffers of exactly the size that may be read.
void test_flip() {
    for (const std::ptrdiff_t bins : {1, 2, 7, 16, 33, 100}) {
        const auto size = static_cast<std::size_t>(2 * bins);
        const std::unique_ptr<float[]> x(new float[size]()), flipped(new float[size]()), y(new float[2]());
        const std::vector<std::ptrdiff_t> index{1, 0};
        const SimccFlip flip{{{flipped.get(), bins, 2 * bins}, {y.get(), 1, 2}}, index.data()};
        const SimccLogits logits{{x.get(), bins, 2 * bins}, {y.get(), 1, 2}};
        for (const double ratio : {0.1, 1.0, 2.0, 5.0, 1e300}) {
            const std::ptrdiff_t peak = bins / 3;
            const std::ptrdiff_t mirrored = std::max<std::ptrdiff_t>(
                bins - 1 - peak - (ratio < 1.5 ? 0 : static_cast<std::ptrdiff_t>(std::min(ratio, 1e6)) - 1), 0);
            x[static_cast<std::size_t>(peak)] = 1.0F;
            flipped[static_cast<std::size_t>(bins + mirrored)] = 2.0F;
            const Affine unit{ratio, 0, 0, 0, 1, 0};  // undoes the ratio
            std::vector<float> xy(4), scores(2);
            const SimccDecoding decoding{ratio, ScoreRule::max, {}, true};
            decode_simcc(logits, &flip, 1, 2, &unit, decoding, xy.data(), scores.data());
            CHECK(scores[0] == 1.5F && scores[1] == 0.0F);
            x[static_cast<std::size_t>(peak)] = 0.0F;
            flipped[static_cast<std::size_t>(bins + mirrored)] = 0.0F;
        }
    }
}

}  // namespace

int main() {
    on_every_isa([] {
        test_simcc_peak();
        test_scores();
        test_decode();
        test_flip();
    });
    return failed();
}
