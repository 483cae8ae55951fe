// Compiled once for each instruction set; see peak.hpp.
namespace leanpose::LEANPOSE_ISA {

// The largest of count >= 0 values that are no NaN, -infinity where there is none; sets has_nan where there is a NaN.
inline float largest_of(const float* values, std::ptrdiff_t count, bool& has_nan) {
    constexpr std::ptrdiff_t size = Floats::size;
    float largest = -std::numeric_limits<float>::infinity();
    std::ptrdiff_t i = 0;
    if (count >= 4 * size) {
        // four chains, so that no maximum waits for the one before
        Floats a = Floats::all(largest), b = a, c = a, d = a;
        typename Floats::Bits unordered = 0;
        for (; i + 4 * size <= count; i += 4 * size) {
            // rows are short and follow each other: the next one is on its way before this one is searched
            for (std::ptrdiff_t line = 0; line < 4 * size; line += 16) {
                LEANPOSE_PREFETCH(values + i + line + 512);
            }
            const Floats p = Floats::load(values + i), q = Floats::load(values + i + size);
            const Floats r = Floats::load(values + i + 2 * size), s = Floats::load(values + i + 3 * size);
            a = Floats::max(p, a);
            b = Floats::max(q, b);
            c = Floats::max(r, c);
            d = Floats::max(s, d);
            unordered |= Floats::unordered(p, q) | Floats::unordered(r, s);
        }
        float lanes[Floats::size];
        Floats::max(Floats::max(a, b), Floats::max(c, d)).store(lanes);
        for (const float lane : lanes) {
            largest = lane > largest ? lane : largest;
        }
        has_nan |= unordered != 0;
    }
    for (; i < count; ++i) {
        largest = values[i] > largest ? values[i] : largest;
        has_nan |= values[i] != values[i];
    }
    return largest;
}

// The index of the first of count >= 0 values that equals `wanted`; count where none does.
inline std::ptrdiff_t first_equal(const float* values, std::ptrdiff_t count, float wanted) {
    constexpr std::ptrdiff_t size = Floats::size;
    std::ptrdiff_t index = 0;
    const Floats all_wanted = Floats::all(wanted);
    while (index + size <= count && Floats::equal(Floats::load(values + index), all_wanted) == 0) {
        index += size;
    }
    while (index < count && !(values[index] == wanted)) {
        ++index;
    }
    return index;
}

inline Peak find_peak(const float* values, std::ptrdiff_t count) {
    bool has_nan = false;
    const float largest = largest_of(values, count, has_nan);
    const std::ptrdiff_t index = first_equal(values, count, largest);
    return {index < count ? index : 0, largest, has_nan};  // no value equals the largest: all are NaN
}

}  // namespace leanpose::LEANPOSE_ISA
