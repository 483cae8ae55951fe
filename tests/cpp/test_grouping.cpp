// Peaks, sampled tags, the search by tag and the grouping of a small scene.
#include <cmath>
#include <cstddef>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/grouping.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

std::vector<LocalMaximum> peaks_of(const std::vector<float>& values, std::ptrdiff_t height, std::ptrdiff_t width,
                           const MaximaRule& rule) {
    const HeatmapView map{values.data(), height, width};
    return find_local_maxima(map, block_maxima(map), rule);
}

void test_peaks() {
    const std::vector<float> row{0.5F, 0.5F, 0.2F, NaN, 0.3F, 0.1F, 0.1F, inf, 0.4F};
    const auto peaks = peaks_of(row, 1, 9, {0.1F, 2, 9});
    CHECK(peaks.size() == 3);
    CHECK(peaks[0].index == 0 && peaks[0].value == 0.5F && peaks[1].index == 8 && peaks[2].index == 4);
    CHECK(peaks_of(row, 9, 1, {0.1F, 1, 1}).size() == 1);
    CHECK(peaks_of({NaN, NaN, -inf, inf}, 2, 2, {-1.0F, 2, 4}).empty());
    CHECK(peaks_of({-2.0F}, 1, 1, {-3.0F, 2, 4}).size() == 1);

    // a constant map is one plateau; the window of its first pixel only has later ones
    const std::vector<float> flat(70 * 50, 1.0F);
    const auto first = peaks_of(flat, 70, 50, {0.0F, 2, 30});
    CHECK(first.size() == 1 && first[0].index == 0);

    std::mt19937 random(3);
    std::uniform_int_distribution<int> value(0, 40);
    std::vector<float> noise(37 * 67);
    for (float& v : noise) {
        v = static_cast<float>(value(random));
    }
    std::size_t count = 0;
    for (std::ptrdiff_t y = 0; y < 37; ++y) {
        for (std::ptrdiff_t x = 0; x < 67; ++x) {
            count += noise[static_cast<std::size_t>(y * 67 + x)] > 20.0F &&
                     is_local_maximum({noise.data(), 37, 67}, y, x, 2);
        }
    }
    const auto all = peaks_of(noise, 37, 67, {20.0F, 2, 10000});
    const auto best = peaks_of(noise, 37, 67, {20.0F, 2, 7});
    CHECK(all.size() == count && best.size() == 7);
    for (std::size_t i = 0; i < best.size(); ++i) {
        CHECK(best[i].index == all[i].index);
    }
}

void test_sampler() {
    const std::vector<float> two{0.0F, 8.0F};
    const TagSampler along({two.data(), 1, 2, 1}, 3, 8);
    const std::vector<double> expected{0, 0, 1, 3, 5, 7, 8, 8};
    for (std::ptrdiff_t x = 0; x < 8; ++x) {
        double tag = -1.0;
        CHECK(along(0, 2, x, &tag) && near(tag, expected[static_cast<std::size_t>(x)], 1e-12));
    }
    // at the same resolution no neighbour is touched
    const std::vector<float> square{1.0F, NaN, inf, 4.0F};
    const TagSampler same({square.data(), 2, 2, 1}, 2, 2);
    double tag = 0.0;
    CHECK(same(0, 0, 0, &tag) && tag == 1.0);
    CHECK(!same(0, 0, 1, &tag) && !same(0, 1, 0, &tag));
    CHECK(same(0, 1, 1, &tag) && tag == 4.0);
}

void test_search() {
    std::mt19937 random(5);
    std::normal_distribution<float> value(0.0F, 0.5F), tag_value(0.0F, 2.0F);
    constexpr std::ptrdiff_t height = 41, width = 35, length = 2;
    std::vector<float> map(height * width), tags(11 * 9 * length);
    for (int repeat = 0; repeat < 20; ++repeat) {
        for (float& v : map) {
            v = value(random);
        }
        for (float& v : tags) {
            v = tag_value(random);
        }
        map[17] = NaN;
        map[18] = inf;
        tags[30] = NaN;
        tags[50] = inf;
        const TagSampler sample({tags.data(), 11, 9, length}, height, width);
        const HeatmapView view{map.data(), height, width};
        const auto maxima = block_maxima(view);
        TagSearch search(view, maxima, 0, sample);
        const std::vector<double> wanted{tag_value(random), 4.0 * tag_value(random)};
        double best = -1e30;
        LocalMaximum expected = no_maximum;
        for (std::ptrdiff_t i = 0; i < height * width; ++i) {
            double tag[length];
            const float v = map[static_cast<std::size_t>(i)];
            if (std::isfinite(v) && sample(0, i / width, i % width, tag)) {
                const double objective =
                    static_cast<double>(v) - std::nearbyint(tag_distance(tag, wanted.data(), length));
                if (objective > best) {
                    best = objective;
                    expected = {v, i};
                }
            }
        }
        const LocalMaximum found = search(wanted);
        CHECK(found.index == (expected.value > 0.0F ? expected.index : no_maximum.index));
    }
    const std::vector<float> nothing(height * width, NaN);
    const HeatmapView view{nothing.data(), height, width};
    const auto maxima = block_maxima(view);
    const TagSampler sample({tags.data(), 11, 9, length}, height, width);
    CHECK(TagSearch(view, maxima, 0, sample)({0.0, 0.0}).index == no_maximum.index);
}

void test_group() {
    // two persons, three keypoints, 8 x 8; the first lacks keypoint 1 and the second has a weak keypoint 2
    std::vector<float> heatmaps(3 * 64), tags(3 * 64);
    const auto set = [&](std::ptrdiff_t k, std::ptrdiff_t y, std::ptrdiff_t x, float value, float tag) {
        const auto i = static_cast<std::size_t>((k * 8 + y) * 8 + x);
        heatmaps[i] = value;
        tags[i] = tag;
    };
    set(0, 1, 1, 0.9F, 3.0F);
    set(0, 6, 6, 0.8F, -3.0F);
    set(0, 6, 7, 0.2F, -3.0F);
    set(1, 5, 5, 0.7F, -3.5F);
    set(2, 2, 2, 0.6F, 3.5F);
    set(2, 7, 0, 0.05F, -3.25F);
    Grouping grouping;
    grouping.joint_order = {0, 1, 2};
    const Affine doubled{2, 0, 1, 0, 2, 3};
    const auto run = [&] {
        return group_keypoints({heatmaps.data(), 3, 8, 8}, {tags.data(), 8, 8, 1}, doubled, grouping);
    };
    const GroupedPersons refined = run();
    CHECK(refined.count == 2);
    CHECK((refined.scores == std::vector<float>{0.9F, 0.0F, 0.6F, 0.8F, 0.7F, 0.05F}));
    CHECK((refined.tags == std::vector<float>{3.25F, -3.25F}));
    CHECK(near(refined.person_scores[0], 0.5) && near(refined.person_scores[1], 0.5));
    CHECK(refined.xy[0] == 3.0F && refined.xy[1] == 5.0F && std::isnan(refined.xy[2]) && std::isnan(refined.xy[3]));
    CHECK(refined.xy[6] == 13.5F && refined.xy[7] == 15.0F && refined.xy[10] == 0.5F && refined.xy[11] == 17.5F);
    grouping.refine = grouping.adjust = false;
    const GroupedPersons plain = run();
    CHECK(plain.scores[5] == 0.0F && std::isnan(plain.xy[10]) && plain.xy[6] == 13.0F);
    grouping.max_persons = 1;
    CHECK(run().count == 2);
    grouping.ignore_too_much = true;
    CHECK(run().count == 1);
    grouping.detection_threshold = 1.0F;
    const GroupedPersons none = run();
    CHECK(none.count == 0 && none.xy.empty() && none.tags.empty());
}

}  // namespace

int main() {
    test_peaks();
    test_sampler();
    test_search();
    test_group();
    return failed();
}
