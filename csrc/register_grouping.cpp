#include <algorithm>
#include <cstddef>
#include <vector>

#include "checks.hpp"
#include "leanpose/grouping.hpp"
#include "module.hpp"

namespace leanpose::python {
namespace {

Array<float> float_maps(const py::object& object, const char* name, const char* shape) {
    if (!py::isinstance<py::array_t<float>>(object)) {
        type_error(name, " must be a float32 array of shape ", shape, ", got ", describe(object),
                   "; convert other dtypes, float16 too, with .astype(numpy.float32)");
    }
    return as_contiguous<float>(py::reinterpret_borrow<py::array>(object));
}

void require_not_empty(const py::array& array, const char* name) {
    if (array.size() == 0) {
        value_error(name, " must hold at least one value, got shape ", shape_text(array));
    }
}

Affine affine(const py::object& object) {
    const auto matrix = real_array(object, "transform");
    require_shape(matrix, "transform", "(2, 3)", {2, 3});
    require_finite(matrix, "transform", 3);
    const double* m = matrix.data();
    return {m[0], m[1], m[2], m[3], m[4], m[5]};
}

std::vector<std::ptrdiff_t> permutation(const py::object& object, py::ssize_t keypoints) {
    std::vector<std::ptrdiff_t> order;
    try {
        order = object.cast<std::vector<std::ptrdiff_t>>();
    } catch (const py::cast_error&) {
        type_error("joint_order must be a sequence of integers, got ", std::string(py::repr(object)));
    }
    std::vector<std::ptrdiff_t> sorted = order;
    std::sort(sorted.begin(), sorted.end());
    bool complete = static_cast<py::ssize_t>(sorted.size()) == keypoints;
    for (py::ssize_t k = 0; complete && k < keypoints; ++k) {
        complete = sorted[static_cast<std::size_t>(k)] == k;
    }
    if (!complete) {
        value_error("joint_order must hold each keypoint from 0 to ", keypoints - 1, " once, got ",
                    std::string(py::repr(object)));
    }
    return order;
}

py::array_t<float> array_of(const std::vector<float>& values, std::vector<py::ssize_t> shape) {
    py::array_t<float> array(std::move(shape));
    std::copy(values.begin(), values.end(), array.mutable_data());
    return array;
}

py::tuple group(const py::object& heatmaps_object, const py::object& tags_object, const py::object& transform_object,
                const py::object& joint_order, py::ssize_t max_persons, double detection_threshold,
                double tag_threshold, bool use_detection_val, bool ignore_too_much, bool adjust, bool refine,
                py::ssize_t nms_window) {
    const auto heatmaps = float_maps(heatmaps_object, "heatmaps", "(K, H, W)");
    require_shape(heatmaps, "heatmaps", "(K, H, W)", {any_length, any_length, any_length});
    require_not_empty(heatmaps, "heatmaps");
    const auto tags = float_maps(tags_object, "tags", "(K, h, w) or (K, h, w, T)");
    if (tags.ndim() != 4) {
        require_shape(tags, "tags", "(K, h, w) or (K, h, w, T)", {any_length, any_length, any_length});
    }
    require_not_empty(tags, "tags");
    const py::ssize_t keypoints = heatmaps.shape(0);
    const py::ssize_t tag_length = tags.ndim() == 4 ? tags.shape(3) : 1;
    if (tags.shape(0) != keypoints) {
        value_error("heatmaps and tags must agree in keypoints, got shapes ", shape_text(heatmaps), " and ",
                    shape_text(tags));
    }
    const Affine transform = affine(transform_object);
    constexpr py::ssize_t most_persons = 1000;  // bounds the assignment, whose time is cubic
    if (max_persons < 1 || max_persons > most_persons) {
        value_error("max_persons must be from 1 to ", most_persons, ", got ", max_persons);
    }
    if (!std::isfinite(detection_threshold)) {
        value_error("detection_threshold must be finite, got ", detection_threshold);
    }
    require_positive(tag_threshold, "tag_threshold");
    constexpr py::ssize_t widest = 255;
    if (nms_window < 1 || nms_window > widest || nms_window % 2 == 0) {
        value_error("nms_window must be an odd number of pixels from 1 to ", widest, ", got ", nms_window);
    }
    const Grouping grouping{permutation(joint_order, keypoints),
                            max_persons,
                            static_cast<float>(detection_threshold),
                            tag_threshold,
                            use_detection_val,
                            ignore_too_much,
                            adjust,
                            refine,
                            (nms_window - 1) / 2};

    const HeatmapsView heatmap_view{heatmaps.data(), keypoints, heatmaps.shape(1), heatmaps.shape(2)};
    const TagMaps tag_view{tags.data(), tags.shape(1), tags.shape(2), tag_length};
    GroupedPersons persons;
    {
        const py::gil_scoped_release release;
        persons = group_keypoints(heatmap_view, tag_view, transform, grouping);
    }
    return py::make_tuple(array_of(persons.xy, {persons.count, keypoints, 2}),
                          array_of(persons.scores, {persons.count, keypoints}),
                          array_of(persons.person_scores, {persons.count}),
                          array_of(persons.tags, {persons.count, tag_length}));
}

}  // namespace

void register_grouping(py::module_& module) {
    py::tuple order(coco_joint_order.size());
    for (std::size_t k = 0; k < coco_joint_order.size(); ++k) {
        order[k] = coco_joint_order[k];
    }
    module.attr("COCO_JOINT_ORDER") = order;
    module.def("group_keypoints", &group, py::arg("heatmaps"), py::arg("tags"), py::arg("transform"),
               py::arg("joint_order"), py::kw_only(), py::arg("max_persons") = 30,
               py::arg("detection_threshold") = 0.1, py::arg("tag_threshold") = 1.0,
               py::arg("use_detection_val") = true, py::arg("ignore_too_much") = false, py::arg("adjust") = true,
               py::arg("refine") = true, py::arg("nms_window") = 5,
               R"(group_keypoints(heatmaps, tags, transform, joint_order, *, max_persons=30, detection_threshold=0.1, tag_threshold=1.0, use_detection_val=True, ignore_too_much=False, adjust=True, refine=True, nms_window=5)
--

Persons in one picture from the heatmaps and tag maps of a bottom-up network, by associative embedding (Newell et al.,
NeurIPS 2017) with the parameters and the refinement of HigherHRNet (Cheng et al., CVPR 2020).

1. Peaks of each heatmap: pixels above ``detection_threshold`` that are the largest of the window around them, the first
   in row-major order where several are equal. The ``max_persons`` largest are kept.
2. Keypoint by keypoint in ``joint_order``, the peaks are assigned to the first ``max_persons`` persons known so far, so
   that the sum of the costs is smallest. The cost is the distance d between the peak's tag and the mean tag of the
   person or, with ``use_detection_val``, 100 * round(d) - value; where sums are equal, larger peaks take nearer
   persons. A peak joins its person if d < ``tag_threshold``, else it starts a new one, so that N may exceed
   ``max_persons``.
3. ``refine``: a person's missing keypoint is put at the pixel with the largest value - round(d), the first of equal
   ones, if its value is positive.
4. ``adjust``: each keypoint moves a quarter pixel towards the larger of its two neighbours on each axis, and stays
   where they are equal; a neighbour outside the map counts as the pixel itself.

Pixels and tags that are NaN or infinite are never taken, and such a pixel hides no peak beside it.

Tags of another resolution are sampled bilinearly only where they are needed: heatmap pixel x lies at
(x + 0.5) * w / W - 0.5 of the w tags across W pixels, clamped to the first and last, as in PyTorch's
interpolate(mode="bilinear", align_corners=False); the same for y. The interpreter lock is released meanwhile.

Args:
    heatmaps: (K, H, W) float32.
    tags: (K, h, w) float32, or (K, h, w, T) for tags of T values.
    transform: (2, 3) finite matrix, heatmap pixel (u, v, 1) to picture (x, y), pixel centres at integers in both.
    joint_order: the keypoints 0 to K - 1, each once; COCO_JOINT_ORDER is the published one for COCO.
    max_persons: from 1 to 1000.
    detection_threshold: a finite number.
    tag_threshold: positive.
    use_detection_val: see 2.
    ignore_too_much: leave out the remaining keypoints of ``joint_order`` once there are ``max_persons`` persons.
    adjust: see 4.
    refine: see 3.
    nms_window: side of the window in heatmap pixels, odd, from 1 to 255.

Returns:
    xy: (N, K, 2) float32, picture pixels, persons in the order in which they were started; NaN where missing.
    scores: (N, K) float32, the heatmap's value at the peak; 0 where missing.
    person_scores: (N,) float32, the mean over all K keypoints, those that are missing before 3 counting 0.
    tags: (N, T) float32, the mean tag of the keypoints found before 3.

Raises:
    TypeError: an argument of the wrong type or dtype.
    ValueError: wrong or disagreeing shapes, maps without values, a number out of range, or joint_order not a
        permutation.
)");
}

}  // namespace leanpose::python
