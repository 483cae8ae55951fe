// Compiled once for each instruction set; see mirror.hpp.
namespace leanpose::LEANPOSE_ISA {

inline void mean_with_mirrored(const float* values, const float* mirrored, std::ptrdiff_t rows, std::ptrdiff_t columns,
                               std::ptrdiff_t shift, float* mean) {
    constexpr std::ptrdiff_t size = Floats::size;
    const Floats half = Floats::all(0.5F);
    shift = shift < -columns ? -columns : shift > columns ? columns : shift;
    // columns from `first` to before `end` have a partner: column c has last + shift - c of the row that is not reversed
    const std::ptrdiff_t first = shift > 0 ? shift : 0;
    const std::ptrdiff_t end = shift < 0 ? columns + shift : columns;
    const std::ptrdiff_t last = columns - 1;
    for (; rows > 0; --rows, values += columns, mirrored += columns, mean += columns) {
        for (std::ptrdiff_t c = 0; c < first; ++c) {
            mean[c] = (values[c] + mirrored[last]) * 0.5F;
        }
        std::ptrdiff_t c = first;
        if (end - first >= size) {
            // a rest that fills no vector is done by one that overlaps the last
            for (; c < end; c += size) {
                const std::ptrdiff_t at = c + size <= end ? c : end - size;
                const Floats partners = Floats::load(mirrored + (last + shift - at - (size - 1))).reversed();
                ((Floats::load(values + at) + partners) * half).store(mean + at);
            }
            c = end;
        }
        for (; c < end; ++c) {
            mean[c] = (values[c] + mirrored[last + shift - c]) * 0.5F;
        }
        for (; c < columns; ++c) {
            mean[c] = (values[c] + mirrored[0]) * 0.5F;
        }
    }
}

}  // namespace leanpose::LEANPOSE_ISA
