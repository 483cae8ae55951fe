// The order in which suppression takes its candidates.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace leanpose {

// Rows by falling score; of equal scores the earlier row, NaN last.
template <class Score>
std::vector<std::int64_t> by_score(const Score* scores, std::ptrdiff_t count) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
    std::iota(rows.begin(), rows.end(), std::int64_t{0});
    std::stable_sort(rows.begin(), rows.end(), [scores](std::int64_t a, std::int64_t b) {
        return scores[a] > scores[b] || (std::isnan(scores[b]) && !std::isnan(scores[a]));
    });
    return rows;
}

}  // namespace leanpose
