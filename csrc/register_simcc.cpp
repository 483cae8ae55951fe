#include <optional>
#include <string>
#include <vector>

#include "checks.hpp"
#include "leanpose/simcc.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

Array<float> axis_logits(const py::object& object, const char* name) {
    if (!py::isinstance<py::array_t<float>>(object)) {
        type_error(name, " must be a float32 array of shape (B, K, bins), got ", describe(object),
                   "; convert other dtypes, float16 too, with .astype(numpy.float32)");
    }
    const auto logits = Array<float>::ensure(object);
    require_shape(logits, name, "(B, K, bins)", {any_length, any_length, any_length});
    if (logits.shape(1) < 1 || logits.shape(2) < 1) {
        value_error(name, " must hold at least one keypoint and one bin, got shape ", shape_text(logits));
    }
    return logits;
}

py::tuple decode(const py::object& x_object, const py::object& y_object, const py::object& transforms_object,
                 double split_ratio, const std::string& score_rule, std::optional<double> temperature) {
    const auto x = axis_logits(x_object, "simcc_x");
    const auto y = axis_logits(y_object, "simcc_y");
    if (x.shape(0) != y.shape(0) || x.shape(1) != y.shape(1)) {
        value_error("simcc_x and simcc_y must agree in batch and keypoints, got shapes ", shape_text(x), " and ",
                    shape_text(y));
    }
    const std::vector<Affine> transforms = affines(transforms_object);
    const py::ssize_t batch = x.shape(0);
    const py::ssize_t keypoints = x.shape(1);
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
                                 temperature};

    py::array_t<float> xy({batch, keypoints, py::ssize_t{2}});
    py::array_t<float> scores({batch, keypoints});
    const SimccLogits logits{x.data(), y.data(), batch, keypoints, x.shape(2), y.shape(2)};
    float* xy_data = xy.mutable_data();
    float* score_data = scores.mutable_data();
    {
        const py::gil_scoped_release release;
        decode_simcc(logits, transforms.data(), decoding, xy_data, score_data);
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
               R"(decode_simcc(simcc_x, simcc_y, transforms, split_ratio, score_rule='min', temperature=None)
--

Keypoints in picture pixels from the two SimCC outputs of a network (Li et al., ECCV 2022).

On each axis the first largest bin gives the coordinate, as an input pixel bin / split_ratio. The score of an axis is
its largest logit or, with a temperature, the probability of that bin under softmax(logits / temperature). An axis that
holds a NaN scores NaN and takes the largest of its other bins, or bin 0. The interpreter lock is released meanwhile.

Args:
    simcc_x: (B, K, bins) float32 logits over x; B may be 0.
    simcc_y: (B, K, bins) float32 logits over y; the number of bins may differ.
    transforms: (B, 2, 3) finite matrices, input pixel (u, v, 1) to picture (x, y).
    split_ratio: bins for each input pixel, positive.
    score_rule: how the two axes make the keypoint's score: "min", "mean", "max" or "product".
    temperature: positive, or None for the raw maxima.

Returns:
    xy: (B, K, 2) float32, picture pixels.
    scores: (B, K) float32.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: wrong or disagreeing shapes, a number out of range or an unknown score rule.
)");
}

}  // namespace leanpose::python
