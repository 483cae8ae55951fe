// Persons from the heatmaps and tag maps of bottom-up heads: peaks of all keypoints, grouped by associative embedding
// (Newell, Huang, Deng, "Associative Embedding: End-to-End Learning for Joint Detection and Grouping", NeurIPS 2017),
// with the parameters and the refinement of Cheng et al., "HigherHRNet: Scale-Aware Representation Learning for
// Bottom-Up Human Pose Estimation", CVPR 2020.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>
#include <vector>

#include "leanpose/assignment.hpp"
#include "leanpose/geometry.hpp"
#include "leanpose/local_maxima.hpp"
#include "leanpose/tag_search.hpp"
#include "leanpose/tags.hpp"

namespace leanpose {

// The published order for the 17 keypoints of COCO: head, shoulders and hips before the limbs.
constexpr std::array<std::ptrdiff_t, 17> coco_joint_order{0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16};

// Row-major (keypoints, height, width) values.
struct HeatmapsView {
    const float* data;
    std::ptrdiff_t keypoints, height, width;

    HeatmapView operator[](std::ptrdiff_t keypoint) const {
        return {data + keypoint * height * width, height, width};
    }
};

struct Grouping {
    std::vector<std::ptrdiff_t> joint_order;  // a permutation of the keypoints
    std::ptrdiff_t max_persons = 30;          // peaks taken of each keypoint, and persons that they are compared with
    float detection_threshold = 0.1F;
    double tag_threshold = 1.0;      // a keypoint joins a person whose mean tag is nearer
    bool use_detection_val = true;   // tag distances are rounded, and then larger values go first
    bool ignore_too_much = false;    // once there are max_persons, the keypoints not yet reached are left out
    bool adjust = true;              // a quarter pixel towards the larger neighbour on each axis
    bool refine = true;              // a person's missing keypoints are searched by its mean tag
    std::ptrdiff_t nms_radius = 2;
};

// `count` persons in the order of their first keypoint.
struct GroupedPersons {
    std::ptrdiff_t count;
    std::vector<float> xy;             // (count, keypoints, 2), NaN where missing
    std::vector<float> scores;         // (count, keypoints), 0 where missing
    std::vector<float> person_scores;  // (count,) mean over all keypoints, those that `refine` adds as 0
    std::vector<float> tags;           // (count, length) means
};

namespace detail {

struct Person {
    std::vector<LocalMaximum> joints;
    std::vector<double> tag_sum;
    std::ptrdiff_t tagged;

    Person(std::ptrdiff_t keypoints, std::ptrdiff_t tag_length)
        : joints(static_cast<std::size_t>(keypoints), no_maximum),
          tag_sum(static_cast<std::size_t>(tag_length)),
          tagged(0) {}

    void add(std::ptrdiff_t keypoint, const LocalMaximum& peak, const double* tag) {
        joints[static_cast<std::size_t>(keypoint)] = peak;
        for (std::size_t t = 0; t < tag_sum.size(); ++t) {
            tag_sum[t] += tag[t];
        }
        ++tagged;
    }

    std::vector<double> mean_tag() const {
        std::vector<double> mean = tag_sum;
        for (double& value : mean) {
            value /= static_cast<double>(tagged);
        }
        return mean;
    }
};

// The peaks of one keypoint, and their tags (peaks, length).
struct Detections {
    std::vector<LocalMaximum> peaks;
    std::vector<double> tags;
};

// Peaks whose tag is not finite are left out.
inline Detections detect(const HeatmapView& map, const std::vector<float>& maxima, std::ptrdiff_t keypoint,
                         const TagSampler& sample, const Grouping& grouping) {
    Detections detections;
    std::vector<double> tag(static_cast<std::size_t>(sample.length()));
    for (const LocalMaximum& peak :
         find_local_maxima(map, maxima, {grouping.detection_threshold, grouping.nms_radius, grouping.max_persons})) {
        if (sample(keypoint, peak.index / map.width, peak.index % map.width, tag.data())) {
            detections.peaks.push_back(peak);
            detections.tags.insert(detections.tags.end(), tag.begin(), tag.end());
        }
    }
    return detections;
}

// Rounded distances, and distances on a line, leave many sums equal: the small last term then gives larger peaks the
// nearer persons.
inline double assignment_cost(double distance, float value, bool use_detection_val) {
    const double cost = use_detection_val ? 100.0 * std::nearbyint(distance) - static_cast<double>(value) : distance;
    return cost + 1e-6 * static_cast<double>(value) * std::sqrt(distance);
}

// Each peak joins the person assigned to it, if that is near enough, or starts a new one.
inline void add_keypoint(std::vector<Person>& persons, std::ptrdiff_t keypoint, const Detections& detections,
                         const HeatmapsView& heatmaps, std::ptrdiff_t tag_length, const Grouping& grouping) {
    const auto known = std::min(static_cast<std::ptrdiff_t>(persons.size()), grouping.max_persons);
    if (grouping.ignore_too_much && known == grouping.max_persons) {
        return;
    }
    std::vector<double> means;
    for (std::ptrdiff_t person = 0; person < known; ++person) {
        const std::vector<double> mean = persons[static_cast<std::size_t>(person)].mean_tag();
        means.insert(means.end(), mean.begin(), mean.end());
    }
    const auto count = static_cast<std::ptrdiff_t>(detections.peaks.size());
    std::vector<double> distances, costs;
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        for (std::ptrdiff_t person = 0; person < known; ++person) {
            distances.push_back(tag_distance(detections.tags.data() + i * tag_length,
                                             means.data() + person * tag_length, tag_length));
            costs.push_back(assignment_cost(distances.back(), detections.peaks[static_cast<std::size_t>(i)].value,
                                            grouping.use_detection_val));
        }
    }
    const std::vector<std::ptrdiff_t> assigned = *linear_assignment(costs.data(), count, known);  // all are finite
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        std::ptrdiff_t person = assigned[static_cast<std::size_t>(i)];
        if (person == unassigned ||
            !(distances[static_cast<std::size_t>(i * known + person)] < grouping.tag_threshold)) {
            person = static_cast<std::ptrdiff_t>(persons.size());
            persons.emplace_back(heatmaps.keypoints, tag_length);
        }
        persons[static_cast<std::size_t>(person)].add(keypoint, detections.peaks[static_cast<std::size_t>(i)],
                                                      detections.tags.data() + i * tag_length);
    }
}

inline double quarter_step(float before, float after) {
    return after > before ? 0.25 : (before > after ? -0.25 : 0.0);
}

// In heatmap pixels, a neighbour outside the map being the pixel itself.
inline Point location(const HeatmapView& map, std::ptrdiff_t index, bool adjust) {
    const std::ptrdiff_t y = index / map.width;
    const std::ptrdiff_t x = index % map.width;
    Point point{static_cast<double>(x), static_cast<double>(y)};
    if (adjust) {
        const float* pixel = map.data + index;
        point.x += quarter_step(x > 0 ? pixel[-1] : *pixel, x + 1 < map.width ? pixel[1] : *pixel);
        point.y += quarter_step(y > 0 ? pixel[-map.width] : *pixel, y + 1 < map.height ? pixel[map.width] : *pixel);
    }
    return point;
}

}  // namespace detail

// `transform` maps heatmap pixels into the picture. Sizes must be at least 1; pixels and tags that are not finite are
// never taken.
inline GroupedPersons group_keypoints(const HeatmapsView& heatmaps, const TagMaps& tag_maps, const Affine& transform,
                                      const Grouping& grouping) {
    const TagSampler sample(tag_maps, heatmaps.height, heatmaps.width);
    std::vector<std::vector<float>> maxima;
    for (std::ptrdiff_t keypoint = 0; keypoint < heatmaps.keypoints; ++keypoint) {
        maxima.push_back(block_maxima(heatmaps[keypoint]));
    }
    std::vector<detail::Person> persons;
    for (const std::ptrdiff_t keypoint : grouping.joint_order) {
        const auto detections = detail::detect(heatmaps[keypoint], maxima[static_cast<std::size_t>(keypoint)],
                                               keypoint, sample, grouping);
        detail::add_keypoint(persons, keypoint, detections, heatmaps, tag_maps.length, grouping);
    }

    GroupedPersons result{static_cast<std::ptrdiff_t>(persons.size()), {}, {}, {}, {}};
    std::vector<std::vector<double>> means;
    for (const detail::Person& person : persons) {
        means.push_back(person.mean_tag());
        for (const double value : means.back()) {
            result.tags.push_back(static_cast<float>(value));
        }
        double total = 0.0;
        for (const LocalMaximum& joint : person.joints) {
            total += static_cast<double>(joint.value);
        }
        result.person_scores.push_back(static_cast<float>(total / static_cast<double>(heatmaps.keypoints)));
    }
    for (std::ptrdiff_t keypoint = 0; grouping.refine && keypoint < heatmaps.keypoints; ++keypoint) {
        const auto k = static_cast<std::size_t>(keypoint);
        std::optional<TagSearch> search;
        for (std::size_t i = 0; i < persons.size(); ++i) {
            if (persons[i].joints[k].index == no_maximum.index) {
                if (!search) {
                    search.emplace(heatmaps[keypoint], maxima[k], keypoint, sample);
                }
                persons[i].joints[k] = (*search)(means[i]);
            }
        }
    }
    for (const detail::Person& person : persons) {
        for (std::ptrdiff_t keypoint = 0; keypoint < heatmaps.keypoints; ++keypoint) {
            const LocalMaximum& joint = person.joints[static_cast<std::size_t>(keypoint)];
            Point point{std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::quiet_NaN()};
            if (joint.index != no_maximum.index) {
                const Point pixel = detail::location(heatmaps[keypoint], joint.index, grouping.adjust);
                point = transform(pixel.x, pixel.y);
            }
            result.xy.push_back(static_cast<float>(point.x));
            result.xy.push_back(static_cast<float>(point.y));
            result.scores.push_back(joint.value);
        }
    }
    return result;
}

}  // namespace leanpose
