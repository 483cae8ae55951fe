// Matching and its accumulation on data sets made by hand and by chance, with any number of threads.
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/evaluation.hpp"
#include "leanpose/matching.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

struct Data {
    std::vector<double> truth_keypoints, truth_boxes, truth_areas, keypoints, scores, areas;
    std::vector<std::uint8_t> ignored, crowd, uncounted;
    std::vector<std::int64_t> truth_cells, cells;

    // a person of one keypoint at (x, 0) with sigma 0.5 and area 1: a result d away has an OKS of exp(-d^2 / 2)
    void person(double x, std::int64_t cell, bool ignore = false, bool many = false, double area = 1.0) {
        truth_keypoints.insert(truth_keypoints.end(), {x, 0.0, 1.0});
        truth_boxes.insert(truth_boxes.end(), {x, 0.0, 1.0, 1.0});
        truth_areas.push_back(area);
        ignored.push_back(ignore);
        crowd.push_back(many);
        uncounted.push_back(0);
        truth_cells.push_back(cell);
    }

    void result(double x, std::int64_t cell, double score, double area = 1.0) {
        keypoints.insert(keypoints.end(), {x, 0.0, 0.0});
        scores.push_back(score);
        areas.push_back(area);
        cells.push_back(cell);
    }

    Matches match(Cells grid, const MatchRules& rules, int threads) const {
        const Truth truth{truth_keypoints.data(),
                          truth_boxes.data(),
                          truth_areas.data(),
                          ignored.data(),
                          crowd.data(),
                          uncounted.data(),
                          truth_cells.data(),
                          static_cast<std::ptrdiff_t>(truth_areas.size())};
        const Results results{keypoints.data(), scores.data(), areas.data(), cells.data(),
                              static_cast<std::ptrdiff_t>(scores.size())};
        return match_keypoints(truth, results, grid, rules, threads);
    }
};

const MatchRules rules{{0.5}, {0.5, 0.9}, {{0.0, 1e10}, {0.0, 2.0}}, 3};
using Rows = std::vector<std::int64_t>;
using Masks = std::vector<std::uint32_t>;

void test_matching() {
    Data data;
    data.person(0, 0);
    data.person(10, 0, true, true);
    data.person(0, 1, false, false, 5.0);
    data.result(0.0, 0, 0.5);   // perfect
    data.result(0.9, 0, 0.9);   // takes the person at 0.5, not at 0.9
    data.result(10.0, 0, 0.2);  // in the crowd
    data.result(10.0, 0, 0.1);  // beyond the three best
    data.result(0.0, 1, 0.5);
    data.result(0.0, -1, 0.9);
    const Matches matches = data.match({1, 2}, rules, 1);
    CHECK((matches.rows == Rows{1, 0, 4, 2}));
    CHECK((matches.truth == Rows{0, -1, 2, -1}));
    CHECK((matches.cells == Rows{0, 0, 1, 0}));
    CHECK((matches.starts == std::vector<std::ptrdiff_t>{0, 4}));
    CHECK((matches.hits == Masks{1, 2, 3, 0, 1, 2, 0, 0}));
    CHECK((matches.ignored == Masks{0, 0, 0, 3, 0, 0, 3, 3}));
    CHECK((matches.positives == std::vector<std::int32_t>{1, 1, 1, 0}));

    PrecisionCurve curve;
    std::vector<double> precision(3);
    const std::vector<double> recalls{0.0, 0.5, 1.0};
    CHECK(near(curve(matches, {1, 2}, 0, 0, 0, nullptr, recalls, precision.data()), 1.0, 1e-12));
    CHECK(near(precision[0], 1.0, 1e-12) && near(precision[1], 1.0, 1e-12) && near(precision[2], 2.0 / 3, 1e-12));
    const std::vector<std::int32_t> weights{0, 2}, none{0, 0};
    CHECK(near(curve(matches, {1, 2}, 0, 0, 0, weights.data(), recalls, precision.data()), 1.0, 1e-12));
    CHECK(near(precision[2], 1.0, 1e-12));
    CHECK(curve(matches, {1, 2}, 0, 0, 0, none.data(), recalls, precision.data()) == -1.0 && precision[1] == -1.0);
}

void test_nan_and_nothing() {
    Data data;
    CHECK(data.match({0, 0}, rules, 4).rows.empty());
    CHECK(data.match({2, 3}, rules, 4).positives.size() == 12);
    data.person(0, 0);
    data.person(0, 0);
    data.result(NaN, 0, NaN);
    data.result(0.0, 0, 0.1);
    const Matches matches = data.match({1, 1}, rules, 1);
    CHECK((matches.rows == Rows{1, 0}));
    CHECK((matches.truth == Rows{1, 0}));  // of equal OKS the last person, then NaN takes what is left
}

void test_threads_agree() {
    std::mt19937 random(3);
    std::uniform_real_distribution<double> uniform(0.0, 1.0);
    for (int round = 0; round < 200; ++round) {
        Data data;
        const Cells grid{1 + round % 3, 1 + round % 11};
        const auto cell = [&] { return static_cast<std::int64_t>(random()) % (grid.count() + 1) - 1; };
        for (int i = 0; i < round % 40; ++i) {
            data.person(5 * uniform(random), cell(), random() % 4 == 0, random() % 4 == 0, 3 * uniform(random));
        }
        for (int i = 0; i < round % 70; ++i) {
            data.result(random() % 20 == 0 ? NaN : 5 * uniform(random), cell(), double(random() % 5), 3 * uniform(random));
        }
        const Matches one = data.match(grid, rules, 1), many = data.match(grid, rules, 1 + round % 7);
        CHECK(one.rows == many.rows && one.truth == many.truth && one.cells == many.cells);
        CHECK(one.hits == many.hits && one.ignored == many.ignored && one.positives == many.positives);
        const std::vector<double> recalls{0.0, 0.25, 0.5, 1.0};
        const auto settings = static_cast<std::size_t>(2 * 2 * grid.categories);
        std::vector<double> precision(4 * settings), recall(settings), again(4 * settings), recall_again(settings);
        accumulate(one, grid, 2, 2, recalls, 1, precision.data(), recall.data());
        accumulate(one, grid, 2, 2, recalls, 5, again.data(), recall_again.data());
        CHECK(precision == again && recall == recall_again);
        // a sample that holds every picture once is the data set
        const std::vector<std::int32_t> weights(3 * static_cast<std::size_t>(grid.pictures), 1);
        std::vector<double> means(3 * settings), recalls_of_samples(3 * settings);
        resample(one, grid, 2, 2, recalls, weights.data(), 3, 2, means.data(), recalls_of_samples.data());
        for (std::size_t i = 0; i < 3 * settings; ++i) {
            CHECK(recalls_of_samples[i] == recall[i % settings]);
        }
    }
}

}  // namespace

int main() {
    test_matching();
    test_nan_and_nothing();
    test_threads_agree();
    return failed();
}
