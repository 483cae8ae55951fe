// Compiled once for each instruction set; see block_argmax.hpp.
namespace leanpose::LEANPOSE_ISA {

inline Peak block_argmax(const float* values, std::ptrdiff_t count, std::ptrdiff_t block) {
    float largest = -std::numeric_limits<float>::infinity();
    bool has_nan = false;
    std::ptrdiff_t winner = 0, end = count;  // of the block to search; all blocks where nothing exceeds -infinity
    for (std::ptrdiff_t start = 0; start < count; start += block) {
        const std::ptrdiff_t stop = count - start < block ? count : start + block;
        const float candidate = largest_of(values + start, stop - start, has_nan);
        if (candidate > largest) {
            largest = candidate;
            winner = start;
            end = stop;
        }
    }
    const std::ptrdiff_t index = winner + first_equal(values + winner, end - winner, largest);
    return {index < end ? index : 0, largest, has_nan};  // no value equals the largest: all are NaN
}

}  // namespace leanpose::LEANPOSE_ISA
