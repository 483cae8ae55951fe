#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "checks.hpp"
#include "leanpose/detections.hpp"
#include "leanpose/letterbox.hpp"
#include "leanpose/nms.hpp"
#include "module.hpp"
#include "pictures.hpp"

namespace leanpose::python {
namespace {

struct Candidates {
    Array<double> boxes, scores;

    Candidates(py::handle boxes_object, py::handle scores_object, double threshold)
        : boxes(real_array(boxes_object, "boxes")), scores(real_array(scores_object, "scores")) {
        require_shape(boxes, "boxes", "(N, 4)", {any_length, 4});
        require_shape(scores, "scores", "(N,), one for each box", {boxes.shape(0)});
        if (!(threshold >= 0.0 && threshold <= 1.0)) {
            value_error("threshold must be from 0 to 1, got ", threshold);
        }
    }
};

py::array_t<std::int64_t> suppress(py::handle boxes, py::handle scores, double threshold) {
    const Candidates given(boxes, scores, threshold);
    std::vector<std::int64_t> kept;
    {
        const py::gil_scoped_release release;
        kept = nms(given.boxes.data(), given.scores.data(), given.boxes.shape(0), threshold);
    }
    return py::array_t<std::int64_t>(static_cast<py::ssize_t>(kept.size()), kept.data());
}

py::tuple in_picture(py::handle boxes, py::handle scores, double threshold, py::handle transform_object, int width,
                     int height) {
    const Candidates given(boxes, scores, threshold);
    const auto matrix = real_array(transform_object, "transform");
    require_shape(matrix, "transform", "(2, 3)", {2, 3});
    require_finite(matrix, "transform", 3);
    const double* const m = matrix.data();
    const Affine transform{m[0], m[1], m[2], m[3], m[4], m[5]};
    if (width < 1 || height < 1) {
        value_error("width and height must be at least 1, got ", width, " and ", height);
    }
    Detections found;
    {
        const py::gil_scoped_release release;
        found = detections(given.boxes.data(), given.scores.data(), given.boxes.shape(0), threshold, transform, width,
                           height);
    }
    const auto count = static_cast<py::ssize_t>(found.scores.size());
    return py::make_tuple(py::array_t<float>({count, py::ssize_t{4}}, found.boxes.data()),
                          py::array_t<float>(count, found.scores.data()));
}

py::tuple whole_picture(const py::object& image_object, const py::object& size_object, const py::object& mean,
                        const py::object& deviation, const std::string& color, const py::object& border,
                        const std::string& resize, const std::string& dtype, const std::string& layout, int threads,
                        const py::object& out) {
    const py::array image = picture(image_object, "image");
    const Size size = input_size(size_object, 1);
    const CropFormat format = crop_format(size, mean, deviation, color, border, dtype, layout, false);
    const auto fit = choice<Resize>(resize, "resize",
                                    {{"letterbox", Resize::letterbox},
                                     {"letterbox_center", Resize::letterbox_center},
                                     {"stretch", Resize::stretch}});
    require_threads(threads);
    auto result = target(out, 1, format);
    const ImageView view = view_of(image);
    if (overlap(view, result)) {
        value_error("out must not share memory with image, which is read while out is written; pass a copy of one");
    }
    void* const destination = result.mutable_data();
    Affine transform;
    {
        const py::gil_scoped_release release;
        transform = letterbox(view, format, fit, destination, threads);
    }
    py::array_t<double> matrix({2, 3});
    const std::array<double, 6> values{transform.xu, transform.xv, transform.xc,
                                       transform.yu, transform.yv, transform.yc};
    std::copy(values.begin(), values.end(), matrix.mutable_data());
    return py::make_tuple(result, matrix);
}

}  // namespace

void register_detection(py::module_& module) {
    module.def("letterbox", &whole_picture, py::arg("image"), py::arg("input_size"), py::arg("mean"), py::arg("std"),
               py::arg("color"), py::arg("border") = py::make_tuple(0.0, 0.0, 0.0), py::kw_only(),
               py::arg("resize") = "letterbox", py::arg("dtype") = "float32", py::arg("layout") = "nchw",
               py::arg("threads") = 1, py::arg("out") = py::none(),
               R"(letterbox(image, input_size, mean, std, color, border=(0, 0, 0), *, resize='letterbox', dtype='float32', layout='nchw', threads=1, out=None)
--

A whole picture as the normalised input of a network, resized in one pass over the pixels.

Each value is (sample - mean) / std, where the sample is bilinear with weights that are not rounded, at half-pixel
centres, as cv2.resize has it with INTER_LINEAR: where the picture shrinks by more than two, pixels are skipped (no
anti-aliasing), which is what detectors are trained and served with. The interpreter lock is released meanwhile.

Args:
    image: (H, W, 3) uint8, BGR; rows may be padded or reversed, any other layout is copied first.
    input_size: (height, width) of the network's input.
    mean: (3,) numbers in 0..255, in the output's channel order.
    std: (3,) positive numbers, likewise.
    color: channel order of the output, "rgb" or "bgr".
    border: (3,) numbers in 0..255, BGR.
    resize: "letterbox" keeps the aspect ratio, the picture in the upper left corner; "letterbox_center" likewise in the
        middle; "stretch" fills the input.
    dtype: "float32", "float16", or "uint8", rounded to nearest and saturated.
    layout: "nchw" or "nhwc".
    threads: how many threads share the work, at least 1.
    out: array to write into, of the result's shape and dtype, C-contiguous, writeable and apart from ``image``, or None
        for a new one.

Returns:
    (1, 3, height, width) for "nchw" or (1, height, width, 3) for "nhwc", and the (2, 3) float64 matrix from input pixel
    (u, v, 1) to picture (x, y), pixel centres at integers.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: a wrong shape or layout, an empty picture, a value that is not finite, std not positive, or an unknown
        name.
)");
    module.def("nms", &suppress, py::arg("boxes"), py::arg("scores"), py::arg("threshold"),
               R"(nms(boxes, scores, threshold)
--

Rows of the boxes that stay when those that cover the same thing go, whatever their class.

The box of the highest score stays, those whose intersection over union with it exceeds the threshold go, and so on.
The interpreter lock is released meanwhile.

Args:
    boxes: (N, 4) x1, y1, x2, y2; N may be 0. A box without area, or with a NaN or an infinity in it, overlaps nothing.
    scores: (N,) numbers; of equal ones the earlier row is the higher, NaN is the lowest.
    threshold: from 0 (any overlap) to 1 (nothing goes).

Returns:
    (M,) int64 rows by falling score.

Raises:
    TypeError: an argument that is no array of numbers.
    ValueError: a wrong shape, or a threshold outside 0..1.
)");
    module.def("detections", &in_picture, py::arg("boxes"), py::arg("scores"), py::arg("threshold"),
               py::arg("transform"), py::arg("width"), py::arg("height"),
               R"(detections(boxes, scores, threshold, transform, width, height)
--

What a detector's boxes, in pixels of its input, leave of persons in the picture.

Rows that hold a NaN or an infinity go, those that cover the same thing as a better one go as in ``nms``, the others are
mapped and clipped to the picture, and those of which nothing is left go. The interpreter lock is released meanwhile.

Args:
    boxes: (N, 4) x1, y1, x2, y2 in the input, the edges of its first pixel at 0 and 1; N may be 0.
    scores: (N,) numbers.
    threshold: intersection over union above which one of two boxes goes, from 0 (any overlap) to 1 (nothing goes).
    transform: (2, 3) finite numbers, from input pixel (u, v, 1) to picture (x, y), pixel centres at integers, as
        ``letterbox`` gives it: only its scales and its offsets are looked at.
    width: of the picture, at least 1.
    height: likewise.

Returns:
    (M, 4) float32 x1, y1, x2, y2 with 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height, by falling score, and (M,)
    float32 scores.

Raises:
    TypeError: an argument that is no array of numbers.
    ValueError: a wrong shape, a transform that is not finite, an empty picture, or a threshold outside 0..1.
)");
}

}  // namespace leanpose::python
