// Crops against plain sampling, and with hostile transforms; meant to run under the sanitizers.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "leanpose/crop.hpp"
#include "leanpose/geometry.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

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

// One crop of floats.
void crop(const ImageView& image, const Affine& transform, const CropFormat& format, float* out) {
    const CropItem item{&image, transform};
    crop_batch(&item, 1, format, out);
}

void test_crop_values() {
    const Picture picture(9, 7, 5);
    for (const ColorOrder color : {ColorOrder::rgb, ColorOrder::bgr}) {
        for (const Affine& affine : {Affine{1, 0, 0, 0, 1, 0}, Affine{0.4, 0.3, -1.2, -0.2, 0.5, 1.7},
                                     Affine{0.05, 0.0, 1.0, 0.0, 0.1, 1.0}, Affine{-1.0, 0.0, 8.0, 0.0, 1.0, 0.0}}) {
            const CropFormat format = unit_format(70, 8, color);
            std::vector<float> out(3 * 70 * 8, NaN);
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

// Halves, bytes, both layouts, mirror images and threads hold what single float crops hold.
void test_crop_formats() {
    const Picture first(21, 17, 2), second(9, 30);
    const std::vector<CropItem> items{{&first.view, {0.7, 0, 1, 0, 0.8, -2}},
                                      {&second.view, {0.3, 0.1, 1, -0.1, 0.4, 5}},
                                      {&first.view, {3.1, 0, -20, 0, 5.0, 3}}};
    const std::size_t width = 19, height = 11, pixels = width * height;
    const CropFormat plain = unit_format(19, 11, ColorOrder::rgb);
    std::vector<float> expected(items.size() * 3 * pixels);
    crop_batch(items.data(), 3, plain, expected.data());
    for (const int threads : {1, 2, 7, 100}) {
        CropFormat format = plain;
        format.flipped = true;
        format.layout = Layout::nhwc;
        format.element = Element::uint8;
        std::vector<std::uint8_t> bytes(items.size() * 6 * pixels);
        crop_batch(items.data(), 3, format, bytes.data(), threads);
        format.layout = Layout::nchw;
        format.element = Element::float16;
        std::vector<std::uint16_t> halves(bytes.size());
        crop_batch(items.data(), 3, format, halves.data(), threads);
        for (std::size_t n = 0; n < items.size(); ++n) {
            for (std::size_t c = 0; c < 3; ++c) {
                for (std::size_t i = 0; i < pixels; ++i) {
                    const std::size_t mirrored = i / width * width + width - 1 - i % width;
                    const float value = expected[(n * 3 + c) * pixels + i];
                    CHECK(bytes[n * 6 * pixels + 3 * i + c] == static_cast<std::uint8_t>(value + 0.5F));
                    CHECK(bytes[(n * 6 + 3) * pixels + 3 * mirrored + c] == static_cast<std::uint8_t>(value + 0.5F));
                    CHECK(halves[(n * 6 + c) * pixels + i] == portable::half_of(value));
                    CHECK(halves[(n * 6 + 3 + c) * pixels + mirrored] == portable::half_of(value));
                }
            }
        }
    }
    crop_batch(nullptr, 0, plain, nullptr, 4);
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
            std::fill(out.begin(), out.end(), NaN);
            crop(picture.view, {pick(), pick(), pick(), pick(), pick(), pick()}, format, out.data());
            for (const float value : out) {
                CHECK(value >= -1e-3F && value <= 255.001F);
            }
        }
    }
}

// Normalised values beyond float32 come to infinities whose sum is NaN: a byte of them must still be a conversion.
void test_crop_bytes_of_overflows() {
    const std::uint8_t white[3] = {255, 255, 255};
    const ImageView image{white, 1, 1, 3};
    const double tiny = std::numeric_limits<float>::min();
    CropFormat format{1, 1, {255.0, 255.0, 255.0}, {tiny, tiny, tiny}, ColorOrder::rgb, {0.0, 0.0, 0.0}};
    format.element = Element::uint8;
    const CropItem item{&image, {1, 0, 0, 0, 1, 0}};
    std::uint8_t out[3] = {9, 9, 9};
    crop_batch(&item, 1, format, out);
    CHECK(out[0] == 0 && out[1] == 0 && out[2] == 0);
}

// Another instruction set in the middle of a crop leaves the crop as it is.
void test_crop_while_the_isa_changes() {
    const Picture picture(40, 40);
    const CropItem item{&picture.view, {0.37, 0, 1.2, 0, 0.41, 0.7}};
    const CropFormat format = unit_format(80, 60, ColorOrder::rgb);
    std::vector<float> expected(3 * 80 * 60), out(expected.size());
    crop_batch(&item, 1, format, expected.data());
    const Isa best = active_isa();
    std::atomic<bool> done{false};
    std::thread other([&done] {
        while (!done) {
            for (const Isa isa : {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512}) {
                use_isa(isa);
            }
        }
    });
    double largest = 0.0;
    for (int round = 0; round < 1000; ++round) {
        crop_batch(&item, 1, format, out.data());
        for (std::size_t i = 0; i < out.size(); ++i) {
            largest = std::max(largest, static_cast<double>(std::abs(out[i] - expected[i])));
        }
    }
    done = true;
    other.join();
    use_isa(best);
    CHECK(largest < 1e-3);
}

}  // namespace

int main() {
    on_every_isa([] {
        test_crop_values();
        test_crop_normalises();
        test_crop_upwards();
        test_crop_formats();
        test_crop_hostile();
        test_crop_bytes_of_overflows();
    });
    test_crop_while_the_isa_changes();
    return failed();
}
