#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "batches.hpp"
#include "leanpose/simcc.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

FloatItems axis_logits(const py::object& object, const char* name) {
    FloatItems logits = float_items(object, name, "(B, K, bins)", 3);
    if (logits.array.shape(1) < 1 || logits.array.shape(2) < 1) {
        value_error(name, " must hold at least one keypoint and one bin, got shape ", shape_text(logits.array));
    }
    return logits;
}

SimccAxis axis_of(const FloatItems& logits) {
    return {logits.array.data(), logits.array.shape(2), logits.stride};
}

py::tuple decode(const py::object& x_object, const py::object& y_object, const py::object& transforms_object,
                 double split_ratio, const std::string& score_rule, std::optional<double> temperature, bool refine,
                 const py::object& flipped, const py::object& flip_index) {
    const auto x = axis_logits(x_object, "simcc_x");
    const auto y = axis_logits(y_object, "simcc_y");
    const py::ssize_t batch = x.array.shape(0);
    const py::ssize_t keypoints = x.array.shape(1);
    if (batch != y.array.shape(0) || keypoints != y.array.shape(1)) {
        value_error("simcc_x and simcc_y must agree in batch and keypoints, got shapes ", shape_text(x.array), " and ",
                    shape_text(y.array));
    }
    const std::vector<Affine> transforms = affines(transforms_object);
    if (static_cast<py::ssize_t>(transforms.size()) != batch) {
        value_error("transforms must hold one matrix for each of the ", batch, " pictures of simcc_x, got ",
                    transforms.size());
    }
    require_positive(split_ratio, "split_ratio");
    if (temperature) {
        require_positive(*temperature, "temperature");
    }
    const SimccDecoding decoding{split_ratio,
                                 choice<ScoreRule>(score_rule, "score_rule",
                                                   {{"min", ScoreRule::min},
                                                    {"mean", ScoreRule::mean},
                                                    {"max", ScoreRule::max},
                                                    {"product", ScoreRule::product}}),
                                 temperature, refine};
    if (flipped.is_none() != flip_index.is_none()) {
        value_error("flipped and flip_index must be given together");
    }
    FloatItems flipped_x, flipped_y;
    std::vector<std::ptrdiff_t> indices;
    std::optional<SimccFlip> flip;
    if (!flipped.is_none()) {
        if (!py::isinstance<py::sequence>(flipped) || py::len(flipped) != 2) {
            type_error("flipped must be a pair (simcc_x, simcc_y), got ", describe(flipped));
        }
        flipped_x = axis_logits(flipped[py::int_(0)], "flipped[0]");
        flipped_y = axis_logits(flipped[py::int_(1)], "flipped[1]");
        require_same_shape(flipped_x.array, "flipped[0]", x.array, "simcc_x");
        require_same_shape(flipped_y.array, "flipped[1]", y.array, "simcc_y");
        indices = flip_indices(flip_index, keypoints);
        flip = SimccFlip{{axis_of(flipped_x), axis_of(flipped_y)}, indices.data()};
    }

    py::array_t<float> xy({batch, keypoints, py::ssize_t{2}});
    py::array_t<float> scores({batch, keypoints});
    const SimccLogits logits{axis_of(x), axis_of(y)};
    float* xy_data = xy.mutable_data();
    float* score_data = scores.mutable_data();
    {
        const py::gil_scoped_release release;
        decode_simcc(logits, flip ? &*flip : nullptr, batch, keypoints, transforms.data(), decoding, xy_data,
                     score_data);
    }
    return py::make_tuple(std::move(xy), std::move(scores));
}

double bin_to_input(double bin, double split_ratio) {
    require_positive(split_ratio, "split_ratio");
    return simcc_bin_to_input(bin, split_ratio);
}

double input_to_bin(double input, double split_ratio) {
    require_positive(split_ratio, "split_ratio");
    return simcc_input_to_bin(input, split_ratio);
}

}  // namespace

void register_simcc(py::module_& module) {
    module.def("simcc_bins_to_input", py::vectorize(bin_to_input), py::arg("bins"), py::arg("split_ratio"),
               R"(simcc_bins_to_input(bins, split_ratio)
--

Input pixels of SimCC bins: bin / split_ratio, element by element in float64.

Raises:
    ValueError: split_ratio is not positive and finite.
)");
    module.def("simcc_input_to_bins", py::vectorize(input_to_bin), py::arg("inputs"), py::arg("split_ratio"),
               R"(simcc_input_to_bins(inputs, split_ratio)
--

SimCC bins, with their fraction, of input pixels: input * split_ratio, element by element in float64.

Raises:
    ValueError: split_ratio is not positive and finite.
)");
    module.def("decode_simcc", &decode, py::arg("simcc_x"), py::arg("simcc_y"), py::arg("transforms"),
               py::arg("split_ratio"), py::arg("score_rule") = "min", py::arg("temperature") = py::none(),
               py::kw_only(), py::arg("refine") = false, py::arg("flipped") = py::none(),
               py::arg("flip_index") = py::none(),
               R"(decode_simcc(simcc_x, simcc_y, transforms, split_ratio, score_rule='min', temperature=None, *, refine=False, flipped=None, flip_index=None)
--

Keypoints in picture pixels from the two SimCC outputs of a network (Li et al., ECCV 2022).

On each axis the first largest bin gives the coordinate, as an input pixel bin / split_ratio. The score of an axis is
its largest logit or, with a temperature, the probability of that bin under softmax(logits / temperature). An axis that
holds a NaN scores NaN and takes the largest of its other bins, or bin 0. Arrays of which every second person is taken
are not copied. The interpreter lock is released meanwhile.

Args:
    simcc_x: (B, K, bins) float32 logits over x; B may be 0.
    simcc_y: (B, K, bins) float32 logits over y; the number of bins may differ.
    transforms: (B, 2, 3) finite matrices, input pixel (u, v, 1) to picture (x, y).
    split_ratio: bins for each input pixel, positive.
    score_rule: how the two axes make the keypoint's score: "min", "mean", "max" or "product".
    temperature: positive, or None for the raw maxima.
    refine: whether the maximum of the parabola through the largest bin and its neighbours gives a fraction of a bin, at
        most half; none where a neighbour is missing or not finite.
    flipped: the pair (simcc_x, simcc_y) for the mirror images (input pixel u to width - 1 - u) of the same persons, of
        the same shapes: the mean of both is decoded (the flip test), exact where split_ratio is an integer.
    flip_index: (K,) integers, given with ``flipped``: keypoint k is keypoint flip_index[k] of the mirror image.

Returns:
    xy: (B, K, 2) float32, picture pixels.
    scores: (B, K) float32.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: wrong or disagreeing shapes, a number out of range or an unknown score rule.
)");
}

}  // namespace leanpose::python
