// Decoding of heatmaps: each keypoint as the maximum of a map, refined between the cells.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "leanpose/block_argmax.hpp"
#include "leanpose/dark.hpp"
#include "leanpose/gaussian.hpp"
#include "leanpose/geometry.hpp"
#include "leanpose/mirror.hpp"

namespace leanpose {

// Where the cells of a heatmap lie in the network's input.
enum class HeatmapMapping { plain, half_pixel, udp };

// The single place of the convention between cells and input pixels, on an axis of so many cells of `stride` pixels:
// plain, that of most heatmap models: cell c lies at its first pixel, stride * c;
// half_pixel, that of Keypoint R-CNN: cell c lies at the centre of its pixels, stride * (c + 0.5) - 0.5;
// udp: the first and the last cell lie at the first and the last pixel, c * (stride * cells - 1) / (cells - 1).
constexpr double heatmap_cell_to_input(double cell, HeatmapMapping mapping, double stride, std::ptrdiff_t cells) {
    switch (mapping) {
        case HeatmapMapping::plain: return stride * cell;
        case HeatmapMapping::half_pixel: return stride * (cell + 0.5) - 0.5;
        case HeatmapMapping::udp:
            return cells == 1 ? 0.0
                              : cell * (stride * static_cast<double>(cells) - 1.0) / static_cast<double>(cells - 1);
    }
    return cell;
}

// How the maximum between the cells is found, see dark.hpp.
enum class HeatmapRefinement { none, quarter, dark, udp };

// Contiguous (keypoints, height, width) maps of each person; person b's start at data + b * stride.
struct HeatmapBatch {
    const float* data;
    std::ptrdiff_t stride;
};

// Maps for the mirror images (input pixel u to width - 1 - u) of the same persons, for the flip test.
struct HeatmapFlip {
    HeatmapBatch maps;
    const std::ptrdiff_t* index;  // keypoint k of the picture is keypoint index[k] of its mirror image
    std::ptrdiff_t shift;         // cells that the maps move right once they are mirrored back
};

struct HeatmapShape {
    std::ptrdiff_t batch, keypoints, height, width;
};

struct HeatmapDecoding {
    double stride;
    HeatmapMapping mapping;
    HeatmapRefinement refinement;
    int kernel;  // size of the blur of dark and udp: odd, from 1 to largest_blur
};

struct HeatmapPeak {
    double x, y;  // in cells
    float score;
};

// The first maximum in row-major order, refined; its value is the score. A NaN makes the score NaN and leaves the
// largest of the other cells, or cell (0, 0), unrefined.
inline HeatmapPeak heatmap_peak(const Heatmap& map, HeatmapRefinement refinement, const GaussianKernel& kernel) {
    const Peak peak = block_argmax(map.data, map.height * map.width, 16 * map.width);
    const std::ptrdiff_t x = peak.index % map.width, y = peak.index / map.width;
    HeatmapPeak result{static_cast<double>(x), static_cast<double>(y), peak.value};
    if (peak.has_nan) {
        result.score = std::numeric_limits<float>::quiet_NaN();
        return result;
    }
    CellOffset offset{0.0, 0.0};
    switch (refinement) {
        case HeatmapRefinement::none: break;
        case HeatmapRefinement::quarter: offset = quarter_offset(map, x, y); break;
        case HeatmapRefinement::dark: offset = dark_offset(map, x, y, kernel); break;
        case HeatmapRefinement::udp: offset = dark_udp_offset(map, x, y, kernel); break;
    }
    result.x += offset.x;
    result.y += offset.y;
    return result;
}

// Writes to `xy` (batch, keypoints, 2) picture pixels and to `scores` (batch, keypoints), row-major.
// `transforms` holds one input pixel -> picture map for each item of the batch, which may be empty. With `flip`, the
// means of the maps and of those for the mirror images are decoded. Needs stride > 0, a sound kernel size and
// keypoints, height, width >= 1.
inline void decode_heatmaps(const HeatmapBatch& maps, const HeatmapFlip* flip, const HeatmapShape& shape,
                            const Affine* transforms, const HeatmapDecoding& decoding, float* xy, float* scores) {
    const GaussianKernel kernel(decoding.kernel);
    const std::ptrdiff_t cells = shape.height * shape.width;
    std::vector<float> mean(flip ? static_cast<std::size_t>(cells) : 0);
    for (std::ptrdiff_t b = 0; b < shape.batch; ++b) {
        for (std::ptrdiff_t k = 0; k < shape.keypoints; ++k) {
            Heatmap map{maps.data + b * maps.stride + k * cells, shape.height, shape.width};
            if (flip) {
                const float* mirrored = flip->maps.data + b * flip->maps.stride + flip->index[k] * cells;
                mean_with_mirrored(map.data, mirrored, shape.height, shape.width, flip->shift, mean.data());
                map.data = mean.data();
            }
            const HeatmapPeak peak = heatmap_peak(map, decoding.refinement, kernel);
            const Point point =
                transforms[b](heatmap_cell_to_input(peak.x, decoding.mapping, decoding.stride, shape.width),
                              heatmap_cell_to_input(peak.y, decoding.mapping, decoding.stride, shape.height));
            const std::ptrdiff_t i = b * shape.keypoints + k;
            xy[2 * i] = static_cast<float>(point.x);
            xy[2 * i + 1] = static_cast<float>(point.y);
            scores[i] = peak.score;
        }
    }
}

}  // namespace leanpose
