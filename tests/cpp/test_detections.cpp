// Boxes of a detector in the picture: known answers, and what is hostile.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/detections.hpp"
#include "leanpose/letterbox.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

void test_known_answers() {
    // a picture of 200 x 100 in the middle of an input of 50 x 50: four pixels to one, 12 rows of border above
    const Affine transform = place_transform(200, 100, place_of(200, 100, 50, 50, Resize::letterbox_center));
    // one inside, its double, one over the corner, one in the border alone
    const std::vector<float> boxes{10, 20, 20, 30, 10, 20, 20, 29, 40, 30, 60, 60, 0, 0, 50, 12};
    const std::vector<float> scores{0.5F, 0.4F, 0.9F, 0.8F};
    const Detections found = detections(boxes.data(), scores.data(), 4, 0.5, transform, 200, 100);
    CHECK((found.boxes == std::vector<float>{160, 72, 200, 100, 40, 32, 80, 72}));
    CHECK((found.scores == std::vector<float>{0.9F, 0.5F}));
    const Detections none = detections<float>(nullptr, nullptr, 0, 0.5, transform, 200, 100);
    CHECK(none.boxes.empty() && none.scores.empty());
}

void test_hostile_boxes() {
    const float largest = std::numeric_limits<float>::max();
    const float odd[] = {NaN, inf, -inf, largest, -largest, 0.0F, 1e-45F, 10.0F, 25.0F};
    std::mt19937 random(1);
    const auto any = [&] { return odd[random() % (sizeof odd / sizeof *odd)]; };
    for (int round = 0; round < 2000; ++round) {
        std::vector<float> boxes(4 * (random() % 8)), scores(boxes.size() / 4);
        std::generate(boxes.begin(), boxes.end(), any);
        std::generate(scores.begin(), scores.end(), any);
        const auto count = static_cast<std::ptrdiff_t>(scores.size());
        const Detections found = detections(boxes.data(), scores.data(), count, 0.5, {2, 0, 0.5, 0, 2, 0.5}, 40, 30);
        CHECK(found.boxes.size() == 4 * found.scores.size() && found.scores.size() <= scores.size());
        CHECK(std::is_sorted(found.scores.rbegin(), found.scores.rend()));
        for (std::size_t i = 0; i < found.boxes.size(); i += 4) {
            const float* const box = found.boxes.data() + i;
            CHECK(0 <= box[0] && box[0] < box[2] && box[2] <= 40 && 0 <= box[1] && box[1] < box[3] && box[3] <= 30);
        }
    }
}

}  // namespace

int main() {
    test_known_answers();
    test_hostile_boxes();
    return failed();
}
