// Compiled once for each instruction set; see crop.hpp.
namespace leanpose::LEANPOSE_ISA {

// out[i] = top[i] + weight * (bottom[i] - top[i])
inline void blend_rows(const std::uint8_t* top, const std::uint8_t* bottom, float weight, std::ptrdiff_t count,
                       float* out) {
    constexpr std::ptrdiff_t size = Floats::size;
    if (count < size) {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            const float a = top[i];
            out[i] = a + weight * (static_cast<float>(bottom[i]) - a);
        }
        return;
    }
    const Floats w = Floats::all(weight);
    for (std::ptrdiff_t start = 0; start < count; start += size) {
        const std::ptrdiff_t i = start + size <= count ? start : count - size;  // the last vector overlaps
        const Floats a = Floats::from_bytes(top + i);
        Floats::fma(w, Floats::from_bytes(bottom + i) - a, a).store(out + i);
    }
}

// Repeats the weight of each pixel four times, in the order in which `resample_row` takes pixels.
inline void spread_weights(const float* weights, std::ptrdiff_t padded, float* spread) {
    constexpr std::ptrdiff_t size = Floats::size;
    for (std::ptrdiff_t u = 0; u < padded; u += size) {
        for (std::ptrdiff_t j = 0; j < 4; ++j) {
            for (std::ptrdiff_t lane = 0; lane < size; ++lane) {
                spread[4 * u + j * size + lane] = weights[u + lane / 4 * 4 + j];
            }
        }
    }
}

// Normalised planes of one row: pixel u blends the interleaved pixels at row + index[u] and row + index[u] + 3. Reads
// one float beyond them; `padded`, a multiple of 16, is the number of pixels written.
inline void resample_row(const float* row, const std::int32_t* index, const float* spread, std::ptrdiff_t padded,
                         const detail::Channel* channels, float* const* planes) {
    constexpr std::ptrdiff_t size = Floats::size;
    const Floats scale0 = Floats::all(channels[0].scale), bias0 = Floats::all(channels[0].bias);
    const Floats scale1 = Floats::all(channels[1].scale), bias1 = Floats::all(channels[1].bias);
    const Floats scale2 = Floats::all(channels[2].scale), bias2 = Floats::all(channels[2].bias);
    for (std::ptrdiff_t u = 0; u < padded; u += size) {
        Floats pixels[4];
        for (std::ptrdiff_t j = 0; j < 4; ++j) {
            const Floats left = Floats::load_quads(row, index + u + j);
            const Floats right = Floats::load_quads(row + 3, index + u + j);
            pixels[j] = Floats::fma(right - left, Floats::load(spread + 4 * u + j * size), left);
        }
        Floats::transpose(pixels[0], pixels[1], pixels[2], pixels[3]);
        Floats::fma(pixels[0], scale0, bias0).store(planes[0] + u);
        Floats::fma(pixels[1], scale1, bias1).store(planes[1] + u);
        Floats::fma(pixels[2], scale2, bias2).store(planes[2] + u);
    }
}

// Where the points x0 + u * xu, y0 + u * yu lie for u = 0..padded - 1: byte offset of the first of four neighbours and
// the weights of the others. Points outside 0..x_limit and 0..y_limit are moved to the limits.
inline void locate_row(double x0, double xu, double x_limit, double y0, double yu, double y_limit,
                       std::int32_t row_stride, std::int32_t padded, std::int32_t* offset, float* fx, float* fy) {
    for (std::int32_t u = 0; u < padded; ++u) {
        double x = x0 + u * xu, y = y0 + u * yu;
        x = x > 0.0 ? x : 0.0;  // NaN too
        y = y > 0.0 ? y : 0.0;
        x = x < x_limit ? x : x_limit;
        y = y < y_limit ? y : y_limit;
        const std::int32_t column = static_cast<std::int32_t>(x), row = static_cast<std::int32_t>(y);
        offset[u] = row * row_stride + 3 * column;
        fx[u] = static_cast<float>(x - column);
        fy[u] = static_cast<float>(y - row);
    }
}

// Normalised planes of one row whose pixel u blends four neighbours, the first at offset[u] bytes. Reads no other byte.
inline void sample_row(const std::uint8_t* data, std::ptrdiff_t row_stride, const std::int32_t* offset, const float* fx,
                       const float* fy, std::ptrdiff_t padded, const detail::Channel* channels,
                       float* const* planes) {
    for (std::ptrdiff_t u = 0; u < padded; u += Floats::size) {
        const Floats x = Floats::load(fx + u), y = Floats::load(fy + u);
        const auto top_left = Floats::gather(data, offset + u);
        const auto top_right = Floats::gather(data + 2, offset + u);  // a byte earlier, to stay in the picture
        const auto bottom_left = Floats::gather(data + row_stride, offset + u);
        const auto bottom_right = Floats::gather(data + row_stride + 2, offset + u);
        for (int c = 0; c < 3; ++c) {
            const Floats a = top_left.byte(8 * c), b = bottom_left.byte(8 * c);
            const Floats top = Floats::fma(top_right.byte(8 * c + 8) - a, x, a);
            const Floats bottom = Floats::fma(bottom_right.byte(8 * c + 8) - b, x, b);
            const detail::Channel& channel = channels[c];
            Floats::fma(Floats::fma(bottom - top, y, top), Floats::all(channel.scale), Floats::all(channel.bias))
                .store(planes[c] + u);
        }
    }
}

inline void halves_of(const float* values, std::ptrdiff_t padded, std::uint16_t* out) {
    for (std::ptrdiff_t u = 0; u < padded; u += Floats::size) {
        Floats::load(values + u).store_half(out + u);
    }
}

}  // namespace leanpose::LEANPOSE_ISA
