// The vector search against a plain loop, on every instruction set that runs here.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <random>

#include "check.hpp"
#include "leanpose/peak.hpp"

namespace {

using namespace leanpose;
using namespace leanpose::test;

Peak plain(const float* values, std::ptrdiff_t count) {
    Peak peak{0, -inf, false};
    bool found = false;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        peak.has_nan |= std::isnan(values[i]);
        if (!std::isnan(values[i]) && (!found || values[i] > peak.value)) {
            peak.index = i;
            peak.value = values[i];
            found = true;
        }
    }
    return peak;
}

void test_every_length() {
    std::mt19937 random(3);
    const float choices[] = {0.0F, -0.0F, 1.0F, 2.0F, -5.0F, inf, -inf, NaN};
    for (std::ptrdiff_t count = 0; count < 300; ++count) {
        for (int round = 0; round < 40; ++round) {
            const std::unique_ptr<float[]> values(new float[static_cast<std::size_t>(count)]);
            const unsigned kinds = 1 + random() % 8;
            for (std::ptrdiff_t i = 0; i < count; ++i) {
                values[i] = kinds == 3 ? std::uniform_real_distribution<float>()(random) : choices[random() % kinds];
            }
            const Peak expected = plain(values.get(), count);
            const Peak found = find_peak(values.get(), count);
            CHECK(found.index == expected.index && found.has_nan == expected.has_nan);
            CHECK(found.value == expected.value);
        }
    }
}

}  // namespace

int main() {
    on_every_isa(test_every_length);
    return failed();
}
