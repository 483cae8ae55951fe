// Compiled once for each instruction set; see simcc.hpp.
namespace leanpose::LEANPOSE_ISA {

// exp(x) for x <= 0 to a few units in the last place; below -87 it stays at exp(-87).
inline Floats exp_of_negative(Floats x) {
    x = Floats::max(x, Floats::all(-87.0F));
    const Floats shift = Floats::all(12582912.0F);  // 1.5 * 2 ** 23: the sum's last bits are the rounded integer
    const Floats shifted = Floats::fma(x, Floats::all(1.44269504F), shift);
    const Floats n = shifted - shift;
    // ln 2 in two parts, the first of few bits, so that n times it is exact
    Floats r = Floats::fma(n, Floats::all(-0.693359375F), x);
    r = Floats::fma(n, Floats::all(2.12194440e-4F), r);
    // Taylor's series: its rest is below one unit in the last place for |r| <= ln(2) / 2
    Floats p = Floats::all(1.0F / 5040.0F);
    p = Floats::fma(p, r, Floats::all(1.0F / 720.0F));
    p = Floats::fma(p, r, Floats::all(1.0F / 120.0F));
    p = Floats::fma(p, r, Floats::all(1.0F / 24.0F));
    p = Floats::fma(p, r, Floats::all(1.0F / 6.0F));
    p = Floats::fma(p, r, Floats::all(0.5F));
    p = Floats::fma(p, r, Floats::all(1.0F));
    p = Floats::fma(p, r, Floats::all(1.0F));
    return Floats::scale(p, shifted);
}

// Sum of exp((values[i] - largest) * factor), for finite values up to `largest`, and -infinity.
inline float sum_of_exponentials(const float* values, std::ptrdiff_t count, float largest, float factor) {
    constexpr std::ptrdiff_t size = Floats::size;
    const Floats top = Floats::all(largest), scale = Floats::all(factor);
    Floats sum = Floats::all(0.0F);
    std::ptrdiff_t i = 0;
    for (; i + size <= count; i += size) {
        sum = sum + exp_of_negative((Floats::load(values + i) - top) * scale);
    }
    float lanes[Floats::size];
    sum.store(lanes);
    float total = 0.0F;
    for (const float lane : lanes) {
        total += lane;
    }
    if (i < count) {
        for (std::ptrdiff_t lane = 0; lane < size; ++lane) {
            lanes[lane] = i + lane < count ? values[i + lane] : largest;
        }
        exp_of_negative((Floats::load(lanes) - top) * scale).store(lanes);
        for (std::ptrdiff_t lane = 0; i + lane < count; ++lane) {
            total += lanes[lane];
        }
    }
    return total;
}

// out[i] = (a[i] + b[i]) / 2
inline void mean_of_rows(const float* a, const float* b, std::ptrdiff_t count, float* out) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        out[i] = (a[i] + b[i]) * 0.5F;
    }
}

}  // namespace leanpose::LEANPOSE_ISA
