// The first largest of a row of numbers.
#pragma once

#include <cstddef>
#include <limits>

namespace leanpose {

struct Peak {
    std::ptrdiff_t index;  // 0 where all are NaN
    float value;           // of the numbers that are not NaN; -infinity where there is none
    bool has_nan;
};

}  // namespace leanpose

#define LEANPOSE_KERNELS "leanpose/peak_kernels.inl"
#include "leanpose/simd/foreach.hpp"

namespace leanpose {

// The first largest of count >= 0 values; NaNs are passed over and reported.
inline Peak find_peak(const float* values, std::ptrdiff_t count) {
    return LEANPOSE_DISPATCH(find_peak, values, count);
}

}  // namespace leanpose
