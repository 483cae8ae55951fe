// The core on its own, with hostile values; meant to run under the sanitizers.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <limits>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "leanpose/crop.hpp"
#include "leanpose/geometry.hpp"
#include "leanpose/simcc.hpp"

namespace {

using namespace leanpose;

int failures = 0;

void check(bool holds, const char* expression, int line) {
    if (!holds) {
        std::fprintf(stderr, "test_core.cpp:%d: %s does not hold\n", line, expression);
        ++failures;
    }
}

#define CHECK(expression) check((expression), #expression, __LINE__)

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float nan = std::numeric_limits<float>::quiet_NaN();

bool near(double a, double b, double tolerance = 1e-4) {
    return std::abs(a - b) <= tolerance;
}

// Exactly as many bytes as the view may touch, so that the address sanitizer sees the first one too many.
struct Picture {
    std::unique_ptr<std::uint8_t[]> bytes;
    ImageView view;

    Picture(int width, int height, int row_gap = 0) {
        const std::size_t stride = 3 * static_cast<std::size_t>(width) + static_cast<std::size_t>(row_gap);
        const std::size_t size = stride * static_cast<std::size_t>(height) - static_cast<std::size_t>(row_gap);
        bytes.reset(new std::uint8_t[size]);
        for (std::size_t i = 0; i < size; ++i) {
            bytes[i] = static_cast<std::uint8_t>((i * 37 + 11) % 256);
        }
        view = {bytes.get(), width, height, static_cast<std::ptrdiff_t>(stride)};
    }

    double at(int x, int y, int channel, double border) const {
        const bool inside = x >= 0 && y >= 0 && x < view.width && y < view.height;
        return inside ? view.data[y * view.row_stride + 3 * x + channel] : border;
    }
};

CropFormat unit_format(int width, int height, ColorOrder color) {
    return {width, height, {0.0, 0.0, 0.0}, {1.0, 1.0, 1.0}, color, {7.0, 80.0, 200.0}};
}

void test_geometry() {
    const Box wide{10.0, 20.0, 50.0, 30.0};
    const Affine plain = crop_transform(wide, 100, 50, 1.0, Transform::plain);
    CHECK(near(plain(0, 0).x, 10.0) && near(plain(0, 0).y, 15.0));
    CHECK(near(plain(100, 50).x, 50.0) && near(plain(100, 50).y, 35.0));
    const Affine udp = crop_transform(wide, 100, 50, 1.0, Transform::udp);
    CHECK(near(udp(99, 49).x, 50.0) && near(udp(99, 49).y, 35.0));
    const Affine tall = crop_transform({0.0, 0.0, 2.0, 40.0}, 30, 40, 1.25, Transform::plain);
    CHECK(near(tall.xu, 1.25) && near(tall.yu, 0.0) && near(tall.xv, 0.0) && near(tall.yv, 1.25));
    CHECK(near(tall(15, 20).x, 1.0) && near(tall(15, 20).y, 20.0));
}

void test_crop_values() {
    const Picture picture(9, 7, 5);
    for (const ColorOrder color : {ColorOrder::rgb, ColorOrder::bgr}) {
        for (const Affine& affine : {Affine{1, 0, 0, 0, 1, 0}, Affine{0.4, 0.3, -1.2, -0.2, 0.5, 1.7},
                                     Affine{0.05, 0.0, 1.0, 0.0, 0.1, 1.0}, Affine{-1.0, 0.0, 8.0, 0.0, 1.0, 0.0}}) {
            const CropFormat format = unit_format(70, 8, color);
            std::vector<float> out(3 * 70 * 8, nan);
            crop(picture.view, affine, format, out.data());
            for (int v = 0; v < 8; ++v) {
                for (int u = 0; u < 70; ++u) {
                    const Point p = affine(u, v);
                    const double left = std::floor(p.x), top = std::floor(p.y);
                    for (int c = 0; c < 3; ++c) {
                        const int source = color == ColorOrder::rgb ? 2 - c : c;
                        const double border = format.border[static_cast<std::size_t>(source)];
                        double expected = 0.0;
                        for (int dy = 0; dy < 2; ++dy) {
                            for (int dx = 0; dx < 2; ++dx) {
                                const double wx = 1.0 - std::abs(p.x - left - dx), wy = 1.0 - std::abs(p.y - top - dy);
                                const int x = static_cast<int>(left) + dx, y = static_cast<int>(top) + dy;
                                expected += wx * wy * picture.at(x, y, source, border);
                            }
                        }
                        CHECK(near(out[static_cast<std::size_t>((c * 8 + v) * 70 + u)], expected));
                    }
                }
            }
        }
    }
}

void test_crop_normalises() {
    const Picture picture(1, 1);
    const CropFormat format{1, 1, {10.0, 20.0, 30.0}, {2.0, 4.0, 8.0}, ColorOrder::rgb, {0.0, 0.0, 0.0}};
    std::vector<float> out(3);
    crop(picture.view, {1, 0, 0, 0, 1, 0}, format, out.data());
    for (int c = 0; c < 3; ++c) {
        const auto i = static_cast<std::size_t>(c);
        CHECK(near(out[i], (picture.at(0, 0, 2 - c, 0.0) - format.mean[i]) / format.std[i]));
    }
}

void test_crop_upwards() {
    const Picture picture(5, 4, 2);
    ImageView flipped = picture.view;
    flipped.data += 3 * flipped.row_stride;
    flipped.row_stride = -flipped.row_stride;
    std::vector<float> out(3 * 5 * 4);
    crop(flipped, {1, 0, 0, 0, 1, 0}, unit_format(5, 4, ColorOrder::bgr), out.data());
    for (int v = 0; v < 4; ++v) {
        CHECK(near(out[static_cast<std::size_t>(5 * v)], picture.at(0, 3 - v, 0, 0.0)));
    }
}

// Every value written is finite and between the extremes of picture and border; the sanitizer watches the reads.
void test_crop_hostile() {
    const double largest = std::numeric_limits<double>::max();
    const double smallest = std::numeric_limits<double>::denorm_min();
    const std::vector<double> values{
        0.0,          -0.0,          1.0,          -1.0, 0.5,   -1e-20, 1e-20,  smallest, -smallest, 1e9, -1e9, 2e9,
        2147483647.0, -2147483649.0, 4294967296.0, 1e19, -1e19, 1e300,  -1e300, largest,  -largest,
        7.0,          std::nextafter(7.0, 0.0),    std::nextafter(-1.0, 0.0)};
    std::mt19937 random(1);
    const auto pick = [&] { return values[random() % values.size()]; };
    for (const auto& [width, height] : {std::pair{1, 1}, {1, 5}, {8, 1}, {2, 2}, {8, 6}}) {
        const Picture picture(width, height, 3);
        const CropFormat format = unit_format(67, 3, ColorOrder::rgb);
        std::vector<float> out(3 * 67 * 3);
        for (int round = 0; round < 4000; ++round) {
            std::fill(out.begin(), out.end(), nan);
            crop(picture.view, {pick(), pick(), pick(), pick(), pick(), pick()}, format, out.data());
            for (const float value : out) {
                CHECK(value >= -1e-3F && value <= 255.001F);
            }
        }
    }
}

void test_simcc_peak() {
    const std::vector<float> tie{1.0F, 3.0F, 3.0F, 2.0F};
    CHECK(simcc_peak(tie.data(), 4, {}).bin == 1 && simcc_peak(tie.data(), 4, {}).score == 3.0F);
    const double total = 2.0 + std::exp(-2.0 / 0.5) + std::exp(-1.0 / 0.5);
    CHECK(near(simcc_peak(tie.data(), 4, 0.5).score, 1.0 / total, 1e-6));

    const std::vector<float> with_nan{nan, 1.0F, nan, 5.0F, -inf};
    CHECK(simcc_peak(with_nan.data(), 5, {}).bin == 3 && std::isnan(simcc_peak(with_nan.data(), 5, {}).score));
    const std::vector<float> only_nan{nan, nan};
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
        CHECK(std::isnan(combine_scores(nan, 1.0F, rule)) && std::isnan(combine_scores(1.0F, nan, rule)));
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
    std::vector<float> xy(8, nan), scores(4, nan);
    const SimccDecoding decoding{2.0, ScoreRule::min, {}};
    decode_simcc({x.data(), y.data(), 2, 2, 3, 4}, transforms.data(), decoding, xy.data(), scores.data());
    CHECK((xy == std::vector<float>{0.5F, 1.5F, 1.0F, 0.5F, 100.0F, 200.0F, 101.0F, 203.0F}));
    CHECK((scores == std::vector<float>{1.0F, 2.0F, 3.0F, 4.0F}));
    decode_simcc({nullptr, nullptr, 0, 2, 3, 4}, nullptr, decoding, nullptr, nullptr);
}

}  // namespace

int main() {
    test_geometry();
    test_crop_values();
    test_crop_normalises();
    test_crop_upwards();
    test_crop_hostile();
    test_simcc_peak();
    test_scores();
    test_decode();
    if (failures > 0) {
        std::fprintf(stderr, "%d checks failed\n", failures);
    }
    return failures > 0 ? 1 : 0;
}
