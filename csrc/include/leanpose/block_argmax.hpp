// The maximum of a large map by divide and conquer (Wang et al., "SRPose: Low-Complexity Human Pose Estimation with
// Super-Resolution", equations 8 to 10): the maxima of blocks, the winner among them, then the place in its block.
#pragma once

#include <cstddef>

#include "leanpose/peak.hpp"

#define LEANPOSE_KERNELS "leanpose/block_argmax_kernels.inl"
#include "leanpose/simd/foreach.hpp"

namespace leanpose {

// What `find_peak` gives, but memory is read once: only the winning block, still in the cache, is searched again.
// Blocks are runs of block >= 1 values, 16 rows of a map, say, where SRPose pools squares: runs follow each other in
// row-major order, so the first of equal block maxima holds the first of equal values. Equation 10 is misprinted in the
// paper: the place is taken from the indices of the maxima, not from their values.
inline Peak block_argmax(const float* values, std::ptrdiff_t count, std::ptrdiff_t block) {
    return LEANPOSE_DISPATCH(block_argmax, values, count, block);
}

}  // namespace leanpose
