// Whole pictures as inputs against the definition of the resampling, on every instruction set and with every resize.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "check.hpp"
#include "leanpose/letterbox.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

constexpr Resize every_resize[] = {Resize::letterbox, Resize::letterbox_center, Resize::stretch};

// The sample of one channel at a pixel of the input: the picture's edge repeats within its place, the border is around.
double sample(const ImageView& image, const Place& place, int u, int v, int channel, double border) {
    if (u < place.left || v < place.top || u >= place.left + place.width || v >= place.top + place.height) {
        return border;
    }
    const auto source = [](int pixel, int begin, int length, int target) {
        const double coordinate = (pixel - begin + 0.5) * length / target - 0.5;
        return std::clamp(coordinate, 0.0, length - 1.0);
    };
    const double x = source(u, place.left, image.width, place.width);
    const double y = source(v, place.top, image.height, place.height);
    const int x0 = static_cast<int>(x), y0 = static_cast<int>(y);
    const auto pixel = [&](int column, int row) {
        const std::ptrdiff_t offset = std::min(row, image.height - 1) * image.row_stride;
        return double{1} * image.data[offset + 3 * std::min(column, image.width - 1) + channel];
    };
    const double top = pixel(x0, y0) + (x - x0) * (pixel(x0 + 1, y0) - pixel(x0, y0));
    const double bottom = pixel(x0, y0 + 1) + (x - x0) * (pixel(x0 + 1, y0 + 1) - pixel(x0, y0 + 1));
    return top + (y - y0) * (bottom - top);
}

void test_against_the_definition() {
    std::mt19937 random(1);
    const auto between = [&random](int least, int most) {
        return least + static_cast<int>(random() % static_cast<unsigned>(most - least + 1));
    };
    for (int round = 0; round < 300; ++round) {
        const int limit = round % 3 == 0 ? 300 : round % 3 == 1 ? 40 : 3;  // steps beyond four, and single pixels
        const int width = between(1, limit), height = between(1, limit);
        std::vector<std::uint8_t> bytes(static_cast<std::size_t>(3 * width * height));
        for (std::uint8_t& byte : bytes) {
            byte = static_cast<std::uint8_t>(random());
        }
        const ImageView image{bytes.data(), width, height, 3 * width};
        CropFormat format{between(1, 50), between(1, 50), {10, 20, 30}, {2, 3, 4}, ColorOrder::rgb, {40, 50, 60}};
        const int pixels = format.width * format.height;
        std::vector<float> out(static_cast<std::size_t>(3 * pixels));
        for (const Resize resize : every_resize) {
            std::fill(out.begin(), out.end(), NaN);
            const Affine transform = letterbox(image, format, resize, out.data(), 1 + round % 2);
            const Place place = place_of(width, height, format.width, format.height, resize);
            const Point corner = transform(place.left - 0.5, place.top - 0.5);
            const Point opposite = transform(place.left + place.width - 0.5, place.top + place.height - 0.5);
            CHECK(near(corner.x, -0.5, 1e-9) && near(corner.y, -0.5, 1e-9));
            CHECK(near(opposite.x, width - 0.5, 1e-9) && near(opposite.y, height - 0.5, 1e-9));
            double worst = 0.0;
            for (int c = 0; c < 3; ++c) {
                const std::size_t target = static_cast<std::size_t>(2 - c);
                for (int i = 0; i < pixels; ++i) {
                    const double expected = sample(image, place, i % format.width, i / format.width, c,
                                                   format.border[static_cast<std::size_t>(c)]);
                    const double value = out[target * static_cast<std::size_t>(pixels) + static_cast<std::size_t>(i)];
                    const double error = std::abs(value * format.std[target] + format.mean[target] - expected);
                    worst = error <= worst ? worst : error;  // NaN stays
                }
            }
            CHECK(worst < 0.01);
        }
    }
}

void test_places() {
    const Place wide = place_of(640, 427, 416, 416, Resize::letterbox);
    CHECK(wide.left == 0 && wide.top == 0 && wide.width == 416 && wide.height == 278);
    const Place middle = place_of(640, 427, 416, 417, Resize::letterbox_center);
    CHECK(middle.left == 0 && middle.top == 69 && middle.width == 416 && middle.height == 278);
    const Place line = place_of(1 << 20, 1, 32, 32, Resize::letterbox_center);
    CHECK(line.width == 32 && line.height == 1 && line.top == 15);
    const Place filled = place_of(7, 9, 5, 4, Resize::stretch);
    CHECK(filled.left == 0 && filled.top == 0 && filled.width == 5 && filled.height == 4);
}

}  // namespace

int main() {
    test_places();
    on_every_isa(test_against_the_definition);
    return failed();
}
