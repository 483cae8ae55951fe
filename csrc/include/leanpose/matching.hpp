// Matching of results to ground truth by OKS, picture by picture, with the rules of COCO's reference implementation
// (Lin et al., ECCV 2014; https://cocodataset.org/#keypoints-eval), its treatment of NaN included.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "leanpose/oks.hpp"
#include "leanpose/threads.hpp"

namespace leanpose {

// A cell holds the persons of one category in one picture: cell = category * pictures + picture.
struct Cells {
    std::ptrdiff_t categories, pictures;

    std::ptrdiff_t count() const { return categories * pictures; }
};

// Persons of the ground truth, row-major; `cell` is negative where a person is left out.
struct Truth {
    const double* keypoints;       // (G, K, 3) x, y, visibility
    const double* boxes;           // (G, 4) x, y, width, height
    const double* areas;           // (G,)
    const std::uint8_t* ignored;   // (G,) matches count neither for nor against
    const std::uint8_t* crowd;     // (G,) may be matched many times
    const std::uint8_t* uncounted; // (G,) a match takes the person but counts as none
    const std::int64_t* cells;     // (G,)
    std::ptrdiff_t count;
};

struct Results {
    const double* keypoints;   // (D, K, 3) x, y and a value that does not matter
    const double* scores;      // (D,)
    const double* areas;       // (D,)
    const std::int64_t* cells; // (D,), negative where a result is left out
    std::ptrdiff_t count;
};

struct AreaRange {
    double least, most;
};

struct MatchRules {
    std::vector<double> sigmas;      // (K,)
    std::vector<double> thresholds;  // (T,) rising OKS, at most 32
    std::vector<AreaRange> areas;    // (A,)
    std::ptrdiff_t max_detections;   // best results of a cell that take part
};

// What became of the N results that took part. They stand by category and falling score, of equal scores by picture.
// Bit t of a mask is about threshold t; masks are (A, N), row-major.
struct Matches {
    std::vector<std::int64_t> rows;           // (N,) which result
    std::vector<std::int64_t> truth;          // (N,) person matched at the first threshold and area, or -1
    std::vector<std::int64_t> cells;          // (N,)
    std::vector<std::ptrdiff_t> starts;       // (categories + 1,) where a category's results start
    std::vector<std::uint32_t> hits, ignored; // (A, N); neither bit set: a false positive
    std::vector<std::int32_t> positives;      // (A, cells) persons to be found
};

// Rows of each cell, in order of row: those of cell c are rows[starts[c]] up to rows[starts[c + 1]].
struct Grouped {
    std::vector<std::int64_t> rows;
    std::vector<std::ptrdiff_t> starts;

    Grouped(const std::int64_t* cells, std::ptrdiff_t count, std::ptrdiff_t cell_count)
        : starts(static_cast<std::size_t>(cell_count) + 1, 0) {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            if (cells[i] >= 0) {
                ++starts[static_cast<std::size_t>(cells[i]) + 1];
            }
        }
        for (std::size_t c = 1; c < starts.size(); ++c) {
            starts[c] += starts[c - 1];
        }
        rows.resize(static_cast<std::size_t>(starts.back()));
        std::vector<std::ptrdiff_t> next(starts.begin(), starts.end() - 1);
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            if (cells[i] >= 0) {
                rows[static_cast<std::size_t>(next[static_cast<std::size_t>(cells[i])]++)] = i;
            }
        }
    }
};

// Matches the cells, one after the other, with its own memory: one for each thread.
class CellMatcher {
public:
    CellMatcher(const Truth& truth, const Results& results, const MatchRules& rules)
        : truth_(truth), results_(results), rules_(rules), reference_(rules.sigmas) {
        for (const double threshold : rules.thresholds) {
            every_ |= 1U << least_.size();
            least_.push_back(std::min(threshold, 1.0 - 1e-10));
        }
    }

    // What became of the results: one value for each, and masks with `stride` between two areas.
    struct Out {
        std::int64_t* truth;
        std::uint32_t *hits, *ignored;
        std::ptrdiff_t stride;
    };

    void match(const std::int64_t* persons, std::ptrdiff_t person_count, const std::int64_t* detections,
               std::ptrdiff_t detection_count, const Out& out) {
        persons_ = persons;
        person_count_ = person_count;
        measure(detections, detection_count);
        for (std::size_t a = 0; a < rules_.areas.size(); ++a) {
            const AreaRange& range = rules_.areas[a];
            order_persons(range);
            taken_.assign(static_cast<std::size_t>(person_count), 0);
            for (std::ptrdiff_t d = 0; d < detection_count; ++d) {
                const double area = results_.areas[detections[d]];
                const bool outside = area < range.least || area > range.most;
                const std::ptrdiff_t mask = static_cast<std::ptrdiff_t>(a) * out.stride + d;
                match_one(d, outside, a == 0 ? out.truth + d : nullptr, out.hits[mask], out.ignored[mask]);
            }
        }
    }

private:
    struct Candidate {
        std::ptrdiff_t person;
        double oks;
    };

    bool ignored(std::ptrdiff_t person, const AreaRange& range) const {
        const std::int64_t row = persons_[person];
        return truth_.ignored[row] || truth_.areas[row] < range.least || truth_.areas[row] > range.most;
    }

    // OKS of every result with every person. Pairs that surely lie below all thresholds are told without exponentials;
    // not so in rows with NaN, where COCO's rules go on to compare what lies below.
    void measure(const std::int64_t* detections, std::ptrdiff_t count) {
        const std::ptrdiff_t keypoints = reference_.keypoints();
        x_.resize(static_cast<std::size_t>(count * keypoints));
        y_.resize(x_.size());
        for (std::ptrdiff_t d = 0; d < count; ++d) {
            const double* pose = results_.keypoints + 3 * keypoints * detections[d];
            for (std::ptrdiff_t k = 0; k < keypoints; ++k) {
                x_[static_cast<std::size_t>(d * keypoints + k)] = pose[3 * k];
                y_[static_cast<std::size_t>(d * keypoints + k)] = pose[3 * k + 1];
            }
        }
        oks_.assign(static_cast<std::size_t>(count * person_count_), 0.0);
        near_.assign(static_cast<std::size_t>(count), Row::far);
        for (std::ptrdiff_t g = 0; g < person_count_; ++g) {
            set_reference(g);
            for (std::ptrdiff_t d = 0; d < count; ++d) {
                if (!reference_.below(x(d), y(d), least_[0])) {
                    Row& row = near_[static_cast<std::size_t>(d)];
                    const double oks = pair(d, g) = reference_(x(d), y(d));
                    row = std::isnan(oks) ? Row::nan : row == Row::nan || oks < least_[0] ? row : Row::near;
                }
            }
        }
        for (std::ptrdiff_t d = 0; d < count; ++d) {
            for (std::ptrdiff_t g = 0; near_[static_cast<std::size_t>(d)] == Row::nan && g < person_count_; ++g) {
                set_reference(g);
                pair(d, g) = reference_(x(d), y(d));
            }
        }
    }

    void set_reference(std::ptrdiff_t person) {
        const std::int64_t row = persons_[person];
        reference_.set(truth_.keypoints + 3 * reference_.keypoints() * row, truth_.boxes + 4 * row,
                       truth_.areas[row]);
    }

    // Persons to be found first, then those to be ignored.
    void order_persons(const AreaRange& range) {
        order_.clear();
        for (const bool wanted : {false, true}) {
            for (std::ptrdiff_t g = 0; g < person_count_; ++g) {
                if (ignored(g, range) == wanted) {
                    order_.push_back(g);
                }
            }
            if (!wanted) {
                to_find_ = static_cast<std::ptrdiff_t>(order_.size());
            }
        }
    }

    void match_one(std::ptrdiff_t d, bool outside, std::int64_t* first, std::uint32_t& hits, std::uint32_t& ignored) {
        hits = 0;
        ignored = 0;
        if (first != nullptr) {
            *first = -1;
        }
        candidates_.clear();
        const Row row = near_[static_cast<std::size_t>(d)];
        for (std::ptrdiff_t place = 0; row != Row::far && place < person_count_; ++place) {
            const double oks = pair(d, order_[static_cast<std::size_t>(place)]);
            if (row == Row::nan || oks >= least_[0]) {
                candidates_.push_back({place, oks});
            }
        }
        if (candidates_.empty()) {
            ignored = outside ? every_ : 0U;
            return;
        }
        for (std::size_t t = 0; t < least_.size(); ++t) {
            const std::uint32_t bit = 1U << t;
            std::ptrdiff_t match = -1;  // place in the order of persons
            double best = least_[t];
            for (const Candidate& candidate : candidates_) {
                const std::ptrdiff_t g = order_[static_cast<std::size_t>(candidate.person)];
                if ((taken_[static_cast<std::size_t>(g)] & bit) && !truth_.crowd[persons_[g]]) {
                    continue;
                }
                if (match >= 0 && match < to_find_ && candidate.person >= to_find_) {
                    break;  // a person to be found goes before all that are ignored
                }
                if (!(candidate.oks < best)) {  // NaN matches, as in the reference implementation
                    best = candidate.oks;
                    match = candidate.person;
                }
            }
            bool counted = false;
            if (match >= 0) {
                const std::ptrdiff_t g = order_[static_cast<std::size_t>(match)];
                taken_[static_cast<std::size_t>(g)] |= bit;
                counted = !truth_.uncounted[persons_[g]];
                if (match >= to_find_) {
                    ignored |= bit;
                } else if (first != nullptr && t == 0) {
                    *first = persons_[g];
                }
            }
            if (!counted && outside) {
                ignored |= bit;
            }
            if (counted && !(ignored & bit)) {
                hits |= bit;
            }
        }
    }

    enum class Row : std::uint8_t { far, near, nan };

    const double* x(std::ptrdiff_t d) const { return x_.data() + d * reference_.keypoints(); }
    const double* y(std::ptrdiff_t d) const { return y_.data() + d * reference_.keypoints(); }
    double& pair(std::ptrdiff_t d, std::ptrdiff_t g) {
        return oks_[static_cast<std::size_t>(d * person_count_ + g)];
    }

    const Truth& truth_;
    const Results& results_;
    const MatchRules& rules_;
    OksReference reference_;
    std::vector<double> least_, x_, y_, oks_;
    std::vector<Row> near_;
    std::vector<Candidate> candidates_;
    std::vector<std::ptrdiff_t> order_;
    std::vector<std::uint32_t> taken_;
    const std::int64_t* persons_ = nullptr;
    std::ptrdiff_t person_count_ = 0, to_find_ = 0;
    std::uint32_t every_ = 0;  // the bits of all thresholds
};

// The best results of each cell by falling score, of equal scores the earlier, NaN last.
inline Grouped best_of_cells(const Results& results, std::ptrdiff_t cell_count, std::ptrdiff_t max_detections) {
    Grouped all(results.cells, results.count, cell_count);
    const double* scores = results.scores;
    std::ptrdiff_t kept = 0, start = 0;
    for (std::size_t c = 0; c + 1 < all.starts.size(); ++c) {
        const std::ptrdiff_t stop = all.starts[c + 1];
        const auto begin = all.rows.begin() + start, end = all.rows.begin() + stop;
        std::stable_sort(begin, end, [scores](std::int64_t a, std::int64_t b) {
            return scores[a] > scores[b] || (std::isnan(scores[b]) && !std::isnan(scores[a]));
        });
        const std::ptrdiff_t count = std::min(stop - start, max_detections);
        std::copy(begin, begin + count, all.rows.begin() + kept);
        all.starts[c] = kept;
        kept += count;
        start = stop;
    }
    all.starts.back() = kept;
    all.rows.resize(static_cast<std::size_t>(kept));
    return all;
}

inline Matches match_keypoints(const Truth& truth, const Results& results, Cells cells, const MatchRules& rules,
                               int threads) {
    const auto at = [](std::ptrdiff_t index) { return static_cast<std::size_t>(index); };
    const Grouped persons(truth.cells, truth.count, cells.count());
    const Grouped detections = best_of_cells(results, cells.count(), rules.max_detections);
    const auto count = static_cast<std::ptrdiff_t>(detections.rows.size());
    const std::size_t areas = rules.areas.size();

    // matched in the order of cells
    std::vector<std::int64_t> matched(at(count));
    std::vector<std::uint32_t> hits(areas * at(count)), ignored(areas * at(count));
    Matches matches;
    matches.positives.assign(areas * at(cells.count()), 0);
    parallel_ranges(cells.count(), threads, [&](std::ptrdiff_t begin, std::ptrdiff_t end) {
        CellMatcher matcher(truth, results, rules);
        for (std::ptrdiff_t c = begin; c < end; ++c) {
            const std::ptrdiff_t first = detections.starts[at(c)], person = persons.starts[at(c)];
            const std::ptrdiff_t person_count = persons.starts[at(c + 1)] - person;
            matcher.match(persons.rows.data() + person, person_count, detections.rows.data() + first,
                          detections.starts[at(c + 1)] - first,
                          {matched.data() + first, hits.data() + first, ignored.data() + first, count});
            for (std::size_t a = 0; a < areas; ++a) {
                for (std::ptrdiff_t g = person; g < person + person_count; ++g) {
                    const std::int64_t row = persons.rows[at(g)];
                    const double area = truth.areas[row];
                    matches.positives[a * at(cells.count()) + at(c)] +=
                        !(truth.ignored[row] || area < rules.areas[a].least || area > rules.areas[a].most);
                }
            }
        }
    });

    // and handed out by category and score
    struct Slot {
        double score;
        std::ptrdiff_t place, cell;
    };
    std::vector<Slot> slots;
    slots.reserve(at(count));
    for (std::ptrdiff_t category = 0; category < cells.categories; ++category) {
        matches.starts.push_back(static_cast<std::ptrdiff_t>(slots.size()));
        for (std::ptrdiff_t c = category * cells.pictures; c < (category + 1) * cells.pictures; ++c) {
            for (std::ptrdiff_t place = detections.starts[at(c)]; place < detections.starts[at(c + 1)]; ++place) {
                slots.push_back({results.scores[detections.rows[at(place)]], place, c});
            }
        }
        std::sort(slots.begin() + matches.starts.back(), slots.end(), [](const Slot& a, const Slot& b) {
            const bool first = a.score > b.score || (std::isnan(b.score) && !std::isnan(a.score));
            const bool second = b.score > a.score || (std::isnan(a.score) && !std::isnan(b.score));
            return first || (!second && a.place < b.place);
        });
    }
    matches.starts.push_back(count);
    matches.hits.reserve(hits.size());
    matches.ignored.reserve(ignored.size());
    for (const Slot& slot : slots) {
        matches.rows.push_back(detections.rows[at(slot.place)]);
        matches.truth.push_back(matched[at(slot.place)]);
        matches.cells.push_back(slot.cell);
    }
    for (std::size_t a = 0; a < areas; ++a) {
        for (const Slot& slot : slots) {
            matches.hits.push_back(hits[a * at(count) + at(slot.place)]);
            matches.ignored.push_back(ignored[a * at(count) + at(slot.place)]);
        }
    }
    return matches;
}

}  // namespace leanpose
