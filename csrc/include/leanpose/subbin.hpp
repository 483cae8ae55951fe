// The maximum of a sampled peak between its samples, in one dimension.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace leanpose {

// Where the parabola through (-1, left), (0, peak) and (1, right) is largest, clamped to half a sample; 0 where it has
// no maximum or a value is not finite. On logits it is Newton's step on the logarithm of their softmax, whose maximum a
// Gaussian reaches in one step: DARK (Zhang et al., CVPR 2020) in one dimension, with neighbouring differences.
inline double parabola_offset(float left, float peak, float right) {
    const double slope = 0.5 * (static_cast<double>(right) - left);
    const double curvature = static_cast<double>(left) - 2.0 * static_cast<double>(peak) + right;
    if (!(curvature < 0.0) || !std::isfinite(curvature)) {
        return 0.0;
    }
    return std::clamp(-slope / curvature, -0.5, 0.5);
}

// The offset of the maximum from sample `peak` of count > peak >= 0 values; 0 at both ends, which lack a neighbour.
inline double refine_peak_1d(const float* values, std::ptrdiff_t count, std::ptrdiff_t peak) {
    return peak < 1 || peak + 1 >= count ? 0.0 : parabola_offset(values[peak - 1], values[peak], values[peak + 1]);
}

}  // namespace leanpose
