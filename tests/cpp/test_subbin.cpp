// The parabola through three samples: exact on Gaussians' logarithms, bounded on everything else.
#include <cmath>
#include <limits>
#include <vector>

#include "check.hpp"
#include "leanpose/subbin.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

void test_known_maxima() {
    for (const double sigma : {0.5, 1.0, 6.0}) {
        for (double center = 2.5; center <= 3.5; center += 0.0625) {
            std::vector<float> logits(8);
            for (std::size_t i = 0; i < logits.size(); ++i) {
                const double distance = (static_cast<double>(i) - center) / sigma;
                logits[i] = static_cast<float>(-0.5 * distance * distance);
            }
            CHECK(near(3.0 + refine_peak_1d(logits.data(), 8, 3), center, 1e-4));
        }
    }
}

void test_bounds() {
    const float largest = std::numeric_limits<float>::max();
    const float choices[] = {0.0F, -0.0F, 1.0F, -1.0F, 1e-45F, largest, -largest, inf, -inf, NaN};
    for (const float left : choices) {
        for (const float peak : choices) {
            for (const float right : choices) {
                const double offset = parabola_offset(left, peak, right);
                const bool finite = std::isfinite(left) && std::isfinite(peak) && std::isfinite(right);
                CHECK(finite ? std::abs(offset) <= 0.5 : offset == 0.0);
                CHECK(offset == -parabola_offset(right, peak, left));
            }
        }
    }
    CHECK(parabola_offset(1.0F, 3.0F, 3.0F) == 0.5 && parabola_offset(3.0F, 3.0F, 3.0F) == 0.0);
    CHECK(parabola_offset(2.0F, 1.0F, 3.0F) == 0.0);
}

void test_edges() {
    const std::vector<float> values{3.0F, 2.0F, 4.0F};
    CHECK(refine_peak_1d(values.data(), 3, 0) == 0.0 && refine_peak_1d(values.data(), 3, 2) == 0.0);
    CHECK(refine_peak_1d(values.data(), 1, 0) == 0.0);
}

}  // namespace

int main() {
    test_known_maxima();
    test_bounds();
    test_edges();
    return failed();
}
