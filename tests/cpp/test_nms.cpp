// Suppression of boxes against all pairs, with ties, NaN, infinities and boxes without area.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/nms.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

using Rows = std::vector<std::int64_t>;

void test_known_answers() {
    // two that share a third, one apart, one inside the first
    const std::vector<float> boxes{0, 0, 10, 10, 5, 0, 15, 10, 50, 50, 60, 60, 0, 0, 5, 10};
    const std::vector<float> scores{0.5F, 0.9F, 0.1F, 0.5F};
    CHECK((nms(boxes.data(), scores.data(), 4, 1.0) == Rows{1, 0, 3, 2}));
    CHECK((nms(boxes.data(), scores.data(), 4, 0.5) == Rows{1, 0, 3, 2}));
    CHECK((nms(boxes.data(), scores.data(), 4, 0.4) == Rows{1, 0, 2}));
    CHECK((nms(boxes.data(), scores.data(), 4, 0.3) == Rows{1, 3, 2}));
    CHECK(nms<float>(nullptr, nullptr, 0, 0.5).empty());
}

void test_hostile_boxes() {
    const float largest = std::numeric_limits<float>::max();
    std::vector<float> boxes{0, 0, 10, 10, 0, 0, 10, 10, NaN, 0, 10, 10, -inf, -inf, inf, inf};
    boxes.insert(boxes.end(), {-largest, -largest, largest, largest, 10, 10, 0, 0, 5, 5, 5, 5, 0, 0, 10, 10});
    const std::vector<float> scores{0.5F, 0.5F, 0.9F, 0.8F, 0.7F, 0.6F, 0.4F, NaN};
    CHECK((nms(boxes.data(), scores.data(), 8, 0.5) == Rows{2, 3, 4, 5, 0, 6}));
}

double overlap(const float* a, const float* b) {
    const double width = std::max(0.0, double{std::min(a[2], b[2])} - double{std::max(a[0], b[0])});
    const double height = std::max(0.0, double{std::min(a[3], b[3])} - double{std::max(a[1], b[1])});
    const double shared = width * height;
    const auto area = [](const float* box) {
        return (double{box[2]} - double{box[0]}) * (double{box[3]} - double{box[1]});
    };
    return shared > 0.0 ? shared / (area(a) + area(b) - shared) : 0.0;
}

// No two that stay overlap by more than the threshold, and whatever goes does so with a better one that stays.
void test_random_boxes() {
    std::mt19937 random(1);
    std::uniform_real_distribution<float> uniform(0.0F, 100.0F);
    for (int round = 0; round < 200; ++round) {
        const std::size_t count = random() % 60;
        std::vector<float> boxes, scores;
        for (std::size_t i = 0; i < count; ++i) {
            const float x = uniform(random), y = uniform(random);
            boxes.insert(boxes.end(), {x, y, x + uniform(random), y + uniform(random)});
            scores.push_back(static_cast<float>(random() % 20));
        }
        const double threshold = 0.01 * uniform(random);
        const Rows kept = nms(boxes.data(), scores.data(), static_cast<std::ptrdiff_t>(count), threshold);
        std::vector<bool> stays(count, false);
        for (std::size_t i = 0; i < kept.size(); ++i) {
            stays[static_cast<std::size_t>(kept[i])] = true;
            CHECK(i == 0 || scores[static_cast<std::size_t>(kept[i - 1])] >= scores[static_cast<std::size_t>(kept[i])]);
        }
        for (std::size_t i = 0; i < count; ++i) {
            const bool covered = std::any_of(kept.begin(), kept.end(), [&](std::int64_t row) {
                const auto other = static_cast<std::size_t>(row);
                const bool before = scores[other] > scores[i] || (scores[other] == scores[i] && other < i);
                return before && overlap(&boxes[4 * other], &boxes[4 * i]) > threshold;
            });
            CHECK(covered != stays[i]);
        }
    }
}

}  // namespace

int main() {
    test_known_answers();
    test_hostile_boxes();
    test_random_boxes();
    return failed();
}
