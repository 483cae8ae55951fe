#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "batches.hpp"
#include "leanpose/heatmap.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

FloatItems maps_of(const py::object& object, const char* name) {
    FloatItems maps = float_items(object, name, "(B, K, height, width)", 4);
    if (maps.array.shape(1) < 1 || maps.array.shape(2) < 1 || maps.array.shape(3) < 1) {
        value_error(name, " must hold at least one keypoint and one cell, got shape ", shape_text(maps.array));
    }
    return maps;
}

HeatmapBatch batch_of(const FloatItems& maps) {
    return {maps.array.data(), maps.stride};
}

py::tuple decode(const py::object& heatmaps, const py::object& transforms_object, double stride,
                 const std::string& mapping, const std::string& refine, long long kernel, const py::object& flipped,
                 const py::object& flip_index, bool shift_heatmap) {
    const FloatItems maps = maps_of(heatmaps, "heatmaps");
    const HeatmapShape shape{maps.array.shape(0), maps.array.shape(1), maps.array.shape(2), maps.array.shape(3)};
    const std::vector<Affine> transforms = affines(transforms_object);
    if (static_cast<py::ssize_t>(transforms.size()) != shape.batch) {
        value_error("transforms must hold one matrix for each of the ", shape.batch, " pictures of heatmaps, got ",
                    transforms.size());
    }
    require_positive(stride, "stride");
    if (kernel < 1 || kernel > largest_blur || kernel % 2 == 0) {
        value_error("kernel must be odd, from 1 to ", largest_blur, ", got ", kernel);
    }
    const HeatmapDecoding decoding{stride,
                                   choice<HeatmapMapping>(mapping, "mapping",
                                                          {{"plain", HeatmapMapping::plain},
                                                           {"half_pixel", HeatmapMapping::half_pixel},
                                                           {"udp", HeatmapMapping::udp}}),
                                   choice<HeatmapRefinement>(refine, "refine",
                                                             {{"none", HeatmapRefinement::none},
                                                              {"quarter", HeatmapRefinement::quarter},
                                                              {"dark", HeatmapRefinement::dark},
                                                              {"udp", HeatmapRefinement::udp}}),
                                   static_cast<int>(kernel)};
    if (flipped.is_none() != flip_index.is_none()) {
        value_error("flipped and flip_index must be given together");
    }
    FloatItems mirrored;
    std::vector<std::ptrdiff_t> indices;
    std::optional<HeatmapFlip> flip;
    if (!flipped.is_none()) {
        mirrored = maps_of(flipped, "flipped");
        require_same_shape(mirrored.array, "flipped", maps.array, "heatmaps");
        indices = flip_indices(flip_index, shape.keypoints);
        flip = HeatmapFlip{batch_of(mirrored), indices.data(), shift_heatmap ? 1 : 0};
    }

    py::array_t<float> xy({shape.batch, shape.keypoints, std::ptrdiff_t{2}});
    py::array_t<float> scores({shape.batch, shape.keypoints});
    const HeatmapBatch batch = batch_of(maps);
    float* xy_data = xy.mutable_data();
    float* score_data = scores.mutable_data();
    {
        const py::gil_scoped_release release;
        decode_heatmaps(batch, flip ? &*flip : nullptr, shape, transforms.data(), decoding, xy_data, score_data);
    }
    return py::make_tuple(std::move(xy), std::move(scores));
}

}  // namespace

void register_heatmap(py::module_& module) {
    module.def("decode_heatmaps", &decode, py::arg("heatmaps"), py::arg("transforms"), py::arg("stride"),
               py::arg("mapping") = "plain", py::arg("refine") = "dark", py::arg("kernel") = 11, py::kw_only(),
               py::arg("flipped") = py::none(), py::arg("flip_index") = py::none(), py::arg("shift_heatmap") = false,
               R"(decode_heatmaps(heatmaps, transforms, stride, mapping='plain', refine='dark', kernel=11, *, flipped=None, flip_index=None, shift_heatmap=False)
--

Keypoints in picture pixels from the heatmaps of a network.

The first largest cell of each map, in row-major order, gives the keypoint, and its value is the score. `refine` then
finds the place between the cells:

- "none": the cell itself;
- "quarter": a quarter of a cell towards the larger neighbour on each axis (Xiao et al., ECCV 2018);
- "dark": blurred by `kernel` with zeros beyond the map, a Newton step on the logarithm (Zhang et al., CVPR 2020);
- "udp": the same with the derivatives, border and clipping of unbiased data processing (Huang et al., CVPR 2020), as
  ViTPose has it; blurred values are clipped to 0.001 and 50, so maps should reach about 1.

`mapping` says where cells lie in the network's input:

- "plain": cell c at stride * c;
- "half_pixel": at stride * (c + 0.5) - 0.5, the centre of its pixels;
- "udp": at c * (stride * cells - 1) / (cells - 1), so that first and last cells lie at first and last pixels.

A map that holds a NaN scores NaN and takes the largest of its other cells, or the first, unrefined. A step that does
not exist or leads more than a cell out of the map is not taken. With `flipped`, the means of the maps and of
flipped[:, flip_index, :, ::-1] are decoded. The interpreter lock is released meanwhile, and arrays whose persons are
strided, as every second one of an array is, are not copied.

Args:
    heatmaps: (B, K, height, width) float32; B may be 0.
    transforms: (B, 2, 3) finite matrices, input pixel (u, v, 1) to picture (x, y).
    stride: input pixels for each cell, positive.
    mapping: "plain", "half_pixel" or "udp".
    refine: "none", "quarter", "dark" or "udp".
    kernel: size in cells of the Gaussian of "dark" and "udp", odd, from 1 to 255; its sigma is OpenCV's for the size.
    flipped: heatmaps for the mirror images (input pixel u to width - 1 - u), of the same shape, or None.
    flip_index: (K,) integers, the keypoint that each becomes in a mirror image; given with `flipped`.
    shift_heatmap: whether the maps of mirror images move right by one cell, their first column kept, once they are
        mirrored back. Common with "plain", whose cells mirror to places between the cells.

Returns:
    xy: (B, K, 2) float32, picture pixels.
    scores: (B, K) float32.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: wrong or disagreeing shapes, a number out of range or an unknown name.
)");
}

}  // namespace leanpose::python
