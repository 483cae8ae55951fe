// Heatmap decoding against plain loops, on every instruction set; arrays end where they may not be read any further.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/heatmap.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

std::vector<float> random_values(std::mt19937& random, std::ptrdiff_t count, unsigned kinds) {
    const float choices[] = {0.0F, 1.0F, 2.0F, -0.0F, -5.0F, inf, -inf, NaN};
    std::vector<float> values(static_cast<std::size_t>(count));
    for (float& value : values) {
        value = kinds == 0 ? std::normal_distribution<float>()(random) : choices[random() % kinds];
    }
    return values;
}

void test_block_argmax() {
    std::mt19937 random(5);
    for (std::ptrdiff_t count = 1; count < 400; count += 7) {
        for (const std::ptrdiff_t block : {1, 16, 48, 333, 1000}) {
            for (unsigned kinds = 0; kinds <= 8; ++kinds) {
                const std::vector<float> values = random_values(random, count, kinds);
                std::ptrdiff_t first = -1;
                for (std::ptrdiff_t i = 0; i < count; ++i) {
                    const float value = values[static_cast<std::size_t>(i)];
                    if (!std::isnan(value) && (first < 0 || value > values[static_cast<std::size_t>(first)])) {
                        first = i;
                    }
                }
                const Peak found = block_argmax(values.data(), count, block);
                CHECK(found.index == std::max<std::ptrdiff_t>(first, 0));
                CHECK(found.value == (first < 0 ? -inf : values[static_cast<std::size_t>(first)]));
                CHECK(found.has_nan == std::any_of(values.begin(), values.end(), [](float v) { return std::isnan(v); }));
            }
        }
    }
}

void test_mean_with_mirrored() {
    std::mt19937 random(6);
    for (std::ptrdiff_t columns = 1; columns < 70; ++columns) {
        for (const std::ptrdiff_t shift : {0, 1, -1, 3, -3, 1000, -1000}) {
            const std::ptrdiff_t rows = 2, count = rows * columns;
            const std::vector<float> values = random_values(random, count, 0), other = random_values(random, count, 0);
            std::vector<float> mean(values.size());
            mean_with_mirrored(values.data(), other.data(), rows, columns, shift, mean.data());
            for (std::ptrdiff_t i = 0; i < count; ++i) {
                const std::ptrdiff_t from = std::clamp<std::ptrdiff_t>(i % columns - shift, 0, columns - 1);
                const std::ptrdiff_t partner = i / columns * columns + columns - 1 - from;
                CHECK(mean[static_cast<std::size_t>(i)] ==
                      (values[static_cast<std::size_t>(i)] + other[static_cast<std::size_t>(partner)]) * 0.5F);
            }
        }
    }
}

// One cell of the blurred map, straight from the definition.
double blurred(const Heatmap& map, std::ptrdiff_t x, std::ptrdiff_t y, const GaussianKernel& kernel, Border border) {
    double total = 0.0;
    const std::ptrdiff_t radius = kernel.radius();
    for (std::ptrdiff_t j = -radius; j <= radius; ++j) {
        for (std::ptrdiff_t i = -radius; i <= radius; ++i) {
            const std::ptrdiff_t column = bordered(x + i, map.width, border), row = bordered(y + j, map.height, border);
            total += column < 0 || row < 0 ? 0.0 : kernel[i + radius] * kernel[j + radius] * map(column, row);
        }
    }
    return total;
}

void test_blur() {
    const std::ptrdiff_t mirrored[] = {0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2, 1};
    for (std::ptrdiff_t i = -4; i < 8; ++i) {
        CHECK(bordered(i, 3, Border::mirror) == mirrored[i + 4]);
        CHECK(bordered(i, 1, Border::mirror) == 0);
        CHECK(bordered(i, 3, Border::zeros) == (i < 0 || i > 2 ? -1 : i));
    }
    std::mt19937 random(7);
    for (const int size : {1, 3, 5, 7, 9, 11, 25, largest_blur}) {
        const GaussianKernel kernel(size);
        double total = 0.0;
        for (std::ptrdiff_t tap = 0; tap < size; ++tap) {
            total += kernel[tap];
            CHECK(kernel[tap] == kernel[size - 1 - tap]);
        }
        CHECK(near(total, 1.0, 1e-12) && kernel.radius() == size / 2);
        for (const std::ptrdiff_t height : {1, 2, 7}) {
            for (const std::ptrdiff_t width : {1, 3, 8}) {
                const std::vector<float> values = random_values(random, height * width, 0);
                const Heatmap map{values.data(), height, width};
                double largest = -inf;
                for (std::ptrdiff_t y = 0; y < height; ++y) {
                    for (std::ptrdiff_t x = 0; x < width; ++x) {
                        largest = std::max(largest, blurred(map, x, y, kernel, Border::zeros));
                    }
                }
                CHECK(near(blurred_maximum(map, kernel), largest, 1e-12));
                const std::ptrdiff_t x = static_cast<std::ptrdiff_t>(random() % static_cast<unsigned>(width));
                const std::ptrdiff_t y = static_cast<std::ptrdiff_t>(random() % static_cast<unsigned>(height));
                for (const Border border : {Border::zeros, Border::mirror}) {
                    const Patch<2> patch = blur_around<2>(map, x, y, kernel, border);
                    for (int dy = -2; dy <= 2; ++dy) {
                        for (int dx = -2; dx <= 2; ++dx) {
                            if (x + dx >= 0 && x + dx < width && y + dy >= 0 && y + dy < height) {
                                CHECK(near(patch(dx, dy), blurred(map, x + dx, y + dy, kernel, border), 1e-12));
                            }
                        }
                    }
                }
            }
        }
    }
}

constexpr HeatmapRefinement refinements[] = {HeatmapRefinement::none, HeatmapRefinement::quarter,
                                             HeatmapRefinement::dark, HeatmapRefinement::udp};

void test_known_maxima() {
    const GaussianKernel kernel(11);
    const double worst[] = {0.5, 0.25, 0.02, 0.02};  // in cells
    for (double center = 19.5; center <= 20.5; center += 0.125) {
        std::vector<float> values(64 * 48);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double dx = static_cast<double>(i % 48) - center, dy = static_cast<double>(i / 48) - center - 0.25;
            values[i] = static_cast<float>(0.8 * std::exp(-(dx * dx + dy * dy) / 8.0));
        }
        for (std::size_t i = 0; i < 4; ++i) {
            const HeatmapPeak peak = heatmap_peak({values.data(), 64, 48}, refinements[i], kernel);
            CHECK(near(peak.x, center, worst[i] + 1e-9) && near(peak.y, center + 0.25, worst[i] + 1e-9));
            CHECK(peak.score == *std::max_element(values.begin(), values.end()));
        }
    }
}

void test_any_values_in_any_shape() {
    std::mt19937 random(8);
    for (std::ptrdiff_t height = 1; height <= 9; ++height) {
        for (std::ptrdiff_t width = 1; width <= 9; ++width) {
            for (unsigned kinds = 0; kinds <= 8; ++kinds) {
                const std::vector<float> values = random_values(random, height * width, kinds);
                for (const HeatmapRefinement refinement : refinements) {
                    const HeatmapPeak peak =
                        heatmap_peak({values.data(), height, width}, refinement, GaussianKernel(5));
                    CHECK(peak.x >= -1.0 && peak.x <= static_cast<double>(width));
                    CHECK(peak.y >= -1.0 && peak.y <= static_cast<double>(height));
                    CHECK(std::isnan(peak.score) ==
                          std::any_of(values.begin(), values.end(), [](float v) { return std::isnan(v); }));
                }
            }
        }
    }
}

void test_mapping() {
    CHECK(heatmap_cell_to_input(3.0, HeatmapMapping::plain, 4.0, 48) == 12.0);
    CHECK(heatmap_cell_to_input(0.0, HeatmapMapping::half_pixel, 4.0, 48) == 1.5);
    CHECK(heatmap_cell_to_input(47.0, HeatmapMapping::half_pixel, 4.0, 48) == 191.0 - 1.5);
    CHECK(heatmap_cell_to_input(0.0, HeatmapMapping::udp, 4.0, 48) == 0.0);
    CHECK(near(heatmap_cell_to_input(47.0, HeatmapMapping::udp, 4.0, 48), 191.0, 1e-12));
    CHECK(heatmap_cell_to_input(0.0, HeatmapMapping::udp, 4.0, 1) == 0.0);
    for (const HeatmapMapping mapping : {HeatmapMapping::plain, HeatmapMapping::half_pixel, HeatmapMapping::udp}) {
        CHECK(near(heatmap_cell_to_input(7.0, mapping, 1.0, 20), 7.0, 1e-12));
    }
}

void test_decode() {
    // two persons, of which only every second is looked at, with two keypoints of 2 x 3 cells
    std::vector<float> maps(3 * 12, 9.0F);
    const std::vector<float> first{0, 1, 0, 0, 0, 0, /**/ 0, 0, 0, 0, 0, 2}, second{3, 0, 0, 0, 0, 0, /**/ 0, 0, 0, 4, 0, 0};
    std::copy(first.begin(), first.end(), maps.begin());
    std::copy(second.begin(), second.end(), maps.begin() + 24);
    const std::vector<Affine> transforms{{1, 0, 0, 0, 1, 0}, {2, 0, 100, 0, 3, 200}};
    std::vector<float> xy(8, NaN), scores(4, NaN);
    const HeatmapDecoding decoding{2.0, HeatmapMapping::plain, HeatmapRefinement::none, 1};
    decode_heatmaps({maps.data(), 24}, nullptr, {2, 2, 2, 3}, transforms.data(), decoding, xy.data(), scores.data());
    CHECK((xy == std::vector<float>{2, 0, 4, 2, 100, 200, 100, 206}));
    CHECK((scores == std::vector<float>{1, 2, 3, 4}));

    // the mirror image of the first person, its keypoints swapped, taken backwards in memory
    const std::vector<float> mirrored{2, 0, 0, 2, 0, 0, /**/ 0, 1, 0, 0, 0, 0};
    const std::ptrdiff_t index[] = {1, 0};
    const HeatmapFlip flip{{mirrored.data(), -12}, index, 0};
    decode_heatmaps({maps.data(), 24}, &flip, {1, 2, 2, 3}, transforms.data(), decoding, xy.data(), scores.data());
    CHECK(xy[0] == 2.0F && xy[1] == 0.0F && scores[0] == 1.0F);
    CHECK(xy[2] == 4.0F && xy[3] == 2.0F && scores[1] == 2.0F);
    decode_heatmaps({nullptr, 0}, nullptr, {0, 2, 2, 3}, nullptr, decoding, nullptr, nullptr);
}

void test_all() {
    test_block_argmax();
    test_mean_with_mirrored();
    test_known_maxima();
    test_any_values_in_any_shape();
    test_decode();
}

}  // namespace

int main() {
    test_blur();
    test_mapping();
    on_every_isa(test_all);
    return failed();
}
