#include <cmath>
#include <cstdint>
#include <vector>

#include "checks.hpp"
#include "leanpose/nms.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

py::array_t<std::int64_t> suppress(py::handle boxes_object, py::handle scores_object, double threshold) {
    const auto boxes = real_array(boxes_object, "boxes");
    require_shape(boxes, "boxes", "(N, 4)", {any_length, 4});
    const auto scores = real_array(scores_object, "scores");
    require_shape(scores, "scores", "(N,), one for each box", {boxes.shape(0)});
    if (!(threshold >= 0.0 && threshold <= 1.0)) {
        value_error("threshold must be from 0 to 1, got ", threshold);
    }
    std::vector<std::int64_t> kept;
    {
        const py::gil_scoped_release release;
        kept = nms(boxes.data(), scores.data(), boxes.shape(0), threshold);
    }
    return py::array_t<std::int64_t>(static_cast<py::ssize_t>(kept.size()), kept.data());
}

}  // namespace

void register_detection(py::module_& module) {
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
}

}  // namespace leanpose::python
