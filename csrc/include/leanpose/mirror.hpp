// The mean of a network's output for a picture and of its output for the mirror image.
#pragma once

#include <cstddef>

#define LEANPOSE_KERNELS "leanpose/mirror_kernels.inl"
#include "leanpose/simd/foreach.hpp"

namespace leanpose {

// Each of rows x columns values becomes the mean of `values` and of the reversed row of `mirrored`, moved right by
// `shift` columns (left where negative); where nothing moved to, the reversed row's end value is repeated.
inline void mean_with_mirrored(const float* values, const float* mirrored, std::ptrdiff_t rows, std::ptrdiff_t columns,
                               std::ptrdiff_t shift, float* mean) {
    LEANPOSE_DISPATCH(mean_with_mirrored, values, mirrored, rows, columns, shift, mean);
}

}  // namespace leanpose
