#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "checks.hpp"
#include "leanpose/oks.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

std::vector<double> sigma_values(py::handle object, py::ssize_t keypoints) {
    const auto array = real_array(object, "sigmas");
    require_shape(array, "sigmas", "(K,), one for each keypoint", {keypoints});
    for (py::ssize_t k = 0; k < keypoints; ++k) {
        require_positive(array.data()[k], "each of sigmas");
    }
    return {array.data(), array.data() + keypoints};
}

Array<double> real(py::handle object, const char* name, const char* shape,
                   std::initializer_list<py::ssize_t> lengths) {
    auto array = real_array(object, name);
    require_shape(array, name, shape, lengths);
    return array;
}

py::array_t<double> oks_matrix(py::handle poses_object, py::handle references_object, py::handle boxes_object,
                               py::handle areas_object, py::handle sigmas_object) {
    const auto references = real(references_object, "references", "(M, K, 3)", {any_length, any_length, 3});
    const py::ssize_t count = references.shape(0), keypoints = references.shape(1);
    const auto poses = real(poses_object, "poses", "(N, K, 2)", {any_length, keypoints, 2});
    const auto boxes = real(boxes_object, "boxes", "(M, 4)", {count, 4});
    const auto areas = real(areas_object, "areas", "(M,)", {count});
    const auto sigmas = sigma_values(sigmas_object, keypoints);
    if (keypoints < 1) {
        value_error("references must hold at least one keypoint, got shape ", shape_text(references));
    }
    py::array_t<double> matrix({poses.shape(0), count});
    double* out = matrix.mutable_data();
    {
        const py::gil_scoped_release release;
        OksReference reference(sigmas);
        std::vector<double> x(sigmas.size()), y(sigmas.size());
        for (py::ssize_t g = 0; g < count; ++g) {
            reference.set(references.data() + 3 * keypoints * g, boxes.data() + 4 * g, areas.data()[g]);
            for (py::ssize_t d = 0; d < poses.shape(0); ++d) {
                const double* pose = poses.data() + 2 * keypoints * d;
                for (std::size_t k = 0; k < x.size(); ++k) {
                    x[k] = pose[2 * k];
                    y[k] = pose[2 * k + 1];
                }
                out[d * count + g] = reference(x.data(), y.data());
            }
        }
    }
    return matrix;
}

struct Duplicates {
    Array<double> xy, scores, areas;
    std::vector<double> sigmas;

    Duplicates(py::handle xy_object, py::handle scores_object, py::handle areas_object, py::handle sigmas_object)
        : xy(real(xy_object, "poses", "(N, K, 2)", {any_length, any_length, 2})),
          scores(real(scores_object, "scores", "(N,), one for each pose", {xy.shape(0)})),
          areas(real(areas_object, "areas", "(N,), one for each pose", {xy.shape(0)})),
          sigmas(sigma_values(sigmas_object, xy.shape(1))) {
        require_finite(areas, "areas", 1);
        for (py::ssize_t i = 0; i < xy.shape(0); ++i) {
            if (areas.data()[i] < 0.0) {
                value_error("areas[", i, "] is ", areas.data()[i], "; expected areas of at least 0, in square pixels");
            }
            if (std::isinf(scores.data()[i])) {
                value_error("scores[", i, "] is ", scores.data()[i], "; expected finite numbers, or NaN for the last");
            }
        }
    }

    PoseSet poses() const { return {xy.data(), areas.data(), xy.shape(0), xy.shape(1)}; }
};

py::array_t<std::int64_t> nms(py::handle xy, py::handle scores, py::handle areas, py::handle sigmas,
                              double threshold) {
    const Duplicates given(xy, scores, areas, sigmas);
    std::vector<std::int64_t> kept;
    {
        const py::gil_scoped_release release;
        kept = oks_nms(given.poses(), given.scores.data(), given.sigmas, threshold);
    }
    return py::array_t<std::int64_t>(static_cast<py::ssize_t>(kept.size()), kept.data());
}

py::tuple soft_nms(py::handle xy, py::handle scores, py::handle areas, py::handle sigmas, double threshold,
                   const std::string& decay, py::ssize_t max_poses) {
    const Duplicates given(xy, scores, areas, sigmas);
    const auto rule = choice<Decay>(decay, "decay", {{"gaussian", Decay::gaussian}, {"linear", Decay::linear}});
    SoftKept kept;
    {
        const py::gil_scoped_release release;
        kept = soft_oks_nms(given.poses(), given.scores.data(), given.sigmas, threshold, rule, max_poses);
    }
    const auto count = static_cast<py::ssize_t>(kept.rows.size());
    return py::make_tuple(py::array_t<std::int64_t>(count, kept.rows.data()),
                          py::array_t<double>(count, kept.scores.data()));
}

}  // namespace

void register_oks(py::module_& module) {
    module.def("oks_matrix", &oks_matrix, py::arg("poses"), py::arg("references"), py::arg("boxes"), py::arg("areas"),
               py::arg("sigmas"),
               R"(oks_matrix(poses, references, boxes, areas, sigmas)
--

(N, M) float64 object keypoint similarity of poses (N, K, 2) with references (M, K, 3) of x, y, visibility, whose boxes
(M, 4) are x, y, width, height; see leanpose.oks.oks_matrix. The interpreter lock is released meanwhile.

Raises:
    TypeError: an argument that is no array of numbers.
    ValueError: wrong or disagreeing shapes, sigmas that are not positive.
)");
    module.def("oks_nms", &nms, py::arg("poses"), py::arg("scores"), py::arg("areas"), py::arg("sigmas"),
               py::arg("threshold"),
               R"(oks_nms(poses, scores, areas, sigmas, threshold)
--

(M,) int64 rows of poses (N, K, 2) that stay, by falling score; see leanpose.oks.oks_nms. The interpreter lock is
released meanwhile.

Raises:
    TypeError: an argument that is no array of numbers.
    ValueError: wrong or disagreeing shapes, numbers out of range.
)");
    module.def("soft_oks_nms", &soft_nms, py::arg("poses"), py::arg("scores"), py::arg("areas"), py::arg("sigmas"),
               py::arg("threshold"), py::arg("decay"), py::arg("max_poses"),
               R"(soft_oks_nms(poses, scores, areas, sigmas, threshold, decay, max_poses)
--

(M,) int64 rows of poses (N, K, 2) in the order in which they are taken, and their (M,) float64 scores; see
leanpose.oks.soft_oks_nms. The interpreter lock is released meanwhile.

Raises:
    TypeError: an argument that is no array of numbers.
    ValueError: wrong or disagreeing shapes, numbers out of range, an unknown decay.
)");
}

}  // namespace leanpose::python
