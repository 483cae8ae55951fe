// OKS against its formula, its early rejection, and the suppression of duplicates with ties and NaN.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/oks.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

constexpr double epsilon = std::numeric_limits<double>::epsilon();
using Rows = std::vector<std::int64_t>;

void test_pairwise_sum() {
    std::mt19937 random(1);
    for (const std::size_t count : {0U, 1U, 7U, 8U, 9U, 17U, 128U, 129U, 1000U}) {
        std::vector<double> values(count);
        double plain = 0.0;
        for (double& value : values) {
            plain += value = static_cast<double>(random() % 1000) / 7.0;
        }
        CHECK(near(pairwise_sum(values.data(), static_cast<std::ptrdiff_t>(count)), plain, 1e-8));
    }
}

void test_similarity() {
    const std::vector<double> sigmas{0.05, 0.1, 0.2};
    const std::vector<double> pose{0, 0, 2, 10, 0, 0, 0, 10, 1};
    const std::vector<double> box{0, 0, 10, 20};
    OksReference reference(sigmas);
    reference.set(pose.data(), box.data(), 100.0);
    const std::vector<double> x{1, 999, 0}, y{0, 999, 13};
    const double first = std::exp(-1.0 / (2 * 100 * 0.01)), third = std::exp(-9.0 / (2 * 100 * 0.16));
    CHECK(near(reference(x.data(), y.data()), (first + third) / 2, 1e-12));
    CHECK(!reference.below(x.data(), y.data(), 0.5));

    const std::vector<double> unlabelled(9, 0.0);
    reference.set(unlabelled.data(), box.data(), 100.0);
    const std::vector<double> inside{-10, 20, 0}, outside{-11, 20, 0}, low{-20, 40, 42};
    const double one = std::exp(-1.0 / (2 * 100 * 0.01)), two = std::exp(-4.0 / (2 * 100 * 0.16));
    CHECK(near(reference(inside.data(), inside.data()), 1.0, 1e-12));
    CHECK(near(reference(outside.data(), low.data()), (one + 1.0 + two) / 3, 1e-12));
    CHECK(std::isnan(reference(std::vector<double>{0, NaN, 0}.data(), low.data())));
}

// Whatever is told to lie below a threshold does, and NaN never is.
void test_early_rejection() {
    std::mt19937 random(2);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    const std::vector<double> hostile{0.0, NaN, inf, -inf, 1e300, -1e300, 1e-300};
    int rejected = 0;
    for (int round = 0; round < 20000; ++round) {
        const std::size_t keypoints = 1 + random() % 20;
        std::vector<double> sigmas, pose, x, y;
        const double spread = std::pow(10.0, 3 * uniform(random));
        for (std::size_t k = 0; k < keypoints; ++k) {
            sigmas.push_back(0.01 + 0.2 * uniform(random));
            pose.insert(pose.end(), {100 * uniform(random), 100 * uniform(random), double(random() % 3)});
            x.push_back(pose[3 * k] + spread * (uniform(random) - 0.5));
            y.push_back(pose[3 * k + 1] + spread * (uniform(random) - 0.5));
        }
        double area = 5000 * uniform(random);
        if (round % 4 == 0) {
            (random() % 2 == 0 ? x[random() % keypoints] : pose[random() % pose.size()]) =
                hostile[random() % hostile.size()];
            area = random() % 3 == 0 ? hostile[random() % hostile.size()] : area;
        }
        const std::vector<double> box{0, 0, 10, 10};
        OksReference reference(sigmas);
        reference.set(pose.data(), box.data(), area);
        for (const double threshold : {0.05, 0.5, 0.95}) {
            if (reference.below(x.data(), y.data(), threshold)) {
                CHECK(reference(x.data(), y.data()) < threshold);
                ++rejected;
            }
        }
    }
    CHECK(rejected > 10000);
}

void test_suppression() {
    // five poses of two keypoints: two pairs of twins and one without keypoints
    const std::vector<double> xy{0, 0, 9, 0, 0, 1, 9, 0, 500, 0, 509, 0, 500, 0, NaN, 0, NaN, 0, 0, NaN};
    const std::vector<double> areas(5, 1000.0), sigmas{0.1, 0.1};
    const PoseSet poses{xy.data(), areas.data(), 5, 2};
    const double twin = (std::exp(-1.0 / (2 * (1000 + epsilon) * 0.04)) + 1) / 2;
    CHECK(near(pose_similarity(poses, 0, 1, sigmas), twin, 1e-12));
    CHECK(near(pose_similarity(poses, 2, 3, sigmas), 1.0, 1e-12));
    CHECK(pose_similarity(poses, 0, 4, sigmas) == 0.0 && pose_similarity(poses, 4, 4, sigmas) == 0.0);

    const std::vector<double> scores{0.5, 0.5, 0.2, 0.9, NaN};
    CHECK((by_score(scores.data(), 5) == Rows{3, 0, 1, 2, 4}));
    CHECK((oks_nms(poses, scores.data(), sigmas, 0.9) == Rows{3, 0, 4}));
    CHECK((oks_nms(poses, scores.data(), sigmas, 1.0) == Rows{3, 0, 1, 2, 4}));
    CHECK(oks_nms({nullptr, nullptr, 0, 2}, nullptr, sigmas, 0.9).empty());

    const SoftKept soft = soft_oks_nms(poses, scores.data(), sigmas, 0.5, Decay::gaussian, 9);
    CHECK((soft.rows == Rows{3, 0, 1, 2, 4}));
    CHECK(near(soft.scores[2], 0.5 * std::exp(-twin * twin / 0.5), 1e-12));
    CHECK(near(soft.scores[3], 0.2 * std::exp(-1.0 / 0.5), 1e-12) && std::isnan(soft.scores[4]));
    const SoftKept linear = soft_oks_nms(poses, scores.data(), sigmas, 0.5, Decay::linear, 4);
    CHECK((linear.rows == Rows{3, 0, 1, 2}));
    CHECK(near(linear.scores[2], 0.5 * (1 - twin), 1e-12) && near(linear.scores[3], 0.0, 1e-12));
    CHECK(soft_oks_nms(poses, scores.data(), sigmas, 0.5, Decay::linear, 0).rows.empty());
}

}  // namespace

int main() {
    test_pairwise_sum();
    test_similarity();
    test_early_rejection();
    test_suppression();
    return failed();
}
