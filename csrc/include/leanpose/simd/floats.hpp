// `Floats`, a vector of floats, for each instruction set, all with the same members. `Bits` has one bit a lane, lane 0
// lowest. Loads and stores need no alignment. A quad is four neighbouring lanes: one interleaved pixel and a spare.
#pragma once

#include <cstdint>
#include <cstring>

#include "leanpose/simd/isa.hpp"

namespace leanpose::portable {

// Round to nearest even, as the hardware does; overflow gives infinity.
inline std::uint16_t half_of(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, 4);
    const std::uint32_t sign = bits >> 16 & 0x8000U;
    bits &= 0x7FFFFFFFU;
    if (bits >= 0x47800000U) {  // 65536 and more, infinity, NaN
        return static_cast<std::uint16_t>(sign | (bits > 0x7F800000U ? 0x7E00U : 0x7C00U));
    }
    if (bits < 0x38800000U) {  // below the least normal half: adding 0.5 rounds at the least subnormal's bit
        float magnitude;
        std::memcpy(&magnitude, &bits, 4);
        magnitude += 0.5F;
        std::memcpy(&bits, &magnitude, 4);
        return static_cast<std::uint16_t>(sign | (bits - 0x3F000000U));
    }
    bits += 0xFFFU + (bits >> 13 & 1U);
    return static_cast<std::uint16_t>(sign | ((bits - 0x38000000U) >> 13));
}

struct Floats {
    static constexpr int size = 4;
    using Bits = std::uint32_t;
    float v[4];

    static Floats load(const float* p) { return {{p[0], p[1], p[2], p[3]}}; }
    static Floats all(float x) { return {{x, x, x, x}}; }
    static Floats from_bytes(const std::uint8_t* p) {
        return {{static_cast<float>(p[0]), static_cast<float>(p[1]), static_cast<float>(p[2]),
                 static_cast<float>(p[3])}};
    }
    // Quad q from base + index[4 * q].
    static Floats load_quads(const float* base, const std::int32_t* index) { return load(base + index[0]); }
    // Byte `shift / 8` of the four bytes at base + index[i], for each lane i.
    struct Words {
        std::uint32_t v[4];
        Floats byte(int shift) const {
            Floats r;
            for (int i = 0; i < 4; ++i) {
                r.v[i] = static_cast<float>(v[i] >> shift & 0xFFU);
            }
            return r;
        }
    };
    static Words gather(const std::uint8_t* base, const std::int32_t* index) {
        Words r;
        for (int i = 0; i < 4; ++i) {
            std::memcpy(&r.v[i], base + index[i], 4);
        }
        return r;
    }
    void store(float* p) const {
        for (int i = 0; i < 4; ++i) {
            p[i] = v[i];
        }
    }
    void store_half(std::uint16_t* p) const {
        for (int i = 0; i < 4; ++i) {
            p[i] = half_of(v[i]);
        }
    }
    Floats reversed() const { return {{v[3], v[2], v[1], v[0]}}; }
    Floats operator+(Floats b) const {
        return {{v[0] + b.v[0], v[1] + b.v[1], v[2] + b.v[2], v[3] + b.v[3]}};
    }
    Floats operator-(Floats b) const {
        return {{v[0] - b.v[0], v[1] - b.v[1], v[2] - b.v[2], v[3] - b.v[3]}};
    }
    Floats operator*(Floats b) const {
        return {{v[0] * b.v[0], v[1] * b.v[1], v[2] * b.v[2], v[3] * b.v[3]}};
    }
    // a * b + c, rounded once or twice
    static Floats fma(Floats a, Floats b, Floats c) { return a * b + c; }
    // a * 2 ** n for the integer n that 1.5 * 2 ** 23 + n holds; both a and the result must be normal
    static Floats scale(Floats a, Floats shifted) {
        Floats r;
        for (int i = 0; i < 4; ++i) {
            std::uint32_t bits, power;
            std::memcpy(&bits, &a.v[i], 4);
            std::memcpy(&power, &shifted.v[i], 4);
            bits += power << 23;
            std::memcpy(&r.v[i], &bits, 4);
        }
        return r;
    }
    // a > b ? a : b, so that b wins where either is NaN
    static Floats max(Floats a, Floats b) {
        Floats r;
        for (int i = 0; i < 4; ++i) {
            r.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
        }
        return r;
    }
    static Bits equal(Floats a, Floats b) {
        return static_cast<Bits>(a.v[0] == b.v[0]) | static_cast<Bits>(a.v[1] == b.v[1]) << 1 |
               static_cast<Bits>(a.v[2] == b.v[2]) << 2 | static_cast<Bits>(a.v[3] == b.v[3]) << 3;
    }
    static Bits greater(Floats a, Floats b) {
        return static_cast<Bits>(a.v[0] > b.v[0]) | static_cast<Bits>(a.v[1] > b.v[1]) << 1 |
               static_cast<Bits>(a.v[2] > b.v[2]) << 2 | static_cast<Bits>(a.v[3] > b.v[3]) << 3;
    }
    static Bits unordered(Floats a, Floats b) {
        Bits r = 0;
        for (int i = 0; i < 4; ++i) {
            r |= static_cast<Bits>(a.v[i] != a.v[i] || b.v[i] != b.v[i]) << i;
        }
        return r;
    }
    // Four vectors, of which quad q of vector j holds pixel 4 * q + j, become one vector for each channel.
    static void transpose(Floats& a, Floats& b, Floats& c, Floats& d) {
        const Floats x = a, y = b, z = c, w = d;
        a = {{x.v[0], y.v[0], z.v[0], w.v[0]}};
        b = {{x.v[1], y.v[1], z.v[1], w.v[1]}};
        c = {{x.v[2], y.v[2], z.v[2], w.v[2]}};
        d = {{x.v[3], y.v[3], z.v[3], w.v[3]}};
    }
};

}  // namespace leanpose::portable

#if defined(LEANPOSE_X86)

namespace leanpose::avx2 {

#include "leanpose/simd/target_avx2.hpp"

struct Floats {
    static constexpr int size = 8;
    using Bits = std::uint32_t;
    __m256 v;

    static Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
    static Floats all(float x) { return {_mm256_set1_ps(x)}; }
    static Floats from_bytes(const std::uint8_t* p) {
        return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))))};
    }
    static Floats load_quads(const float* base, const std::int32_t* index) {
        const __m256 low = _mm256_castps128_ps256(_mm_loadu_ps(base + index[0]));
        return {_mm256_insertf128_ps(low, _mm_loadu_ps(base + index[4]), 1)};
    }
    struct Words {
        __m256i v;
        Floats byte(int shift) const {
            return {_mm256_cvtepi32_ps(_mm256_and_si256(_mm256_srli_epi32(v, shift), _mm256_set1_epi32(0xFF)))};
        }
    };
    static Words gather(const std::uint8_t* base, const std::int32_t* index) {
        const __m256i offsets = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
        return {_mm256_i32gather_epi32(reinterpret_cast<const int*>(base), offsets, 1)};
    }
    void store(float* p) const { _mm256_storeu_ps(p, v); }
    void store_half(std::uint16_t* p) const {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    }
    Floats reversed() const { return {_mm256_permutevar8x32_ps(v, _mm256_setr_epi32(7, 6, 5, 4, 3, 2, 1, 0))}; }
    Floats operator+(Floats b) const { return {_mm256_add_ps(v, b.v)}; }
    Floats operator-(Floats b) const { return {_mm256_sub_ps(v, b.v)}; }
    Floats operator*(Floats b) const { return {_mm256_mul_ps(v, b.v)}; }
    static Floats fma(Floats a, Floats b, Floats c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
    static Floats scale(Floats a, Floats shifted) {
        const __m256i power = _mm256_slli_epi32(_mm256_castps_si256(shifted.v), 23);
        return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), power))};
    }
    static Floats max(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
    static Bits equal(Floats a, Floats b) { return bits(_mm256_cmp_ps(a.v, b.v, _CMP_EQ_OQ)); }
    static Bits greater(Floats a, Floats b) { return bits(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)); }
    static Bits unordered(Floats a, Floats b) { return bits(_mm256_cmp_ps(a.v, b.v, _CMP_UNORD_Q)); }
    static void transpose(Floats& a, Floats& b, Floats& c, Floats& d) {
        const __m256 ab_low = _mm256_unpacklo_ps(a.v, b.v), cd_low = _mm256_unpacklo_ps(c.v, d.v);
        const __m256 ab_high = _mm256_unpackhi_ps(a.v, b.v), cd_high = _mm256_unpackhi_ps(c.v, d.v);
        a.v = _mm256_shuffle_ps(ab_low, cd_low, 0x44);
        b.v = _mm256_shuffle_ps(ab_low, cd_low, 0xEE);
        c.v = _mm256_shuffle_ps(ab_high, cd_high, 0x44);
        d.v = _mm256_shuffle_ps(ab_high, cd_high, 0xEE);
    }

private:
    static Bits bits(__m256 mask) { return static_cast<Bits>(_mm256_movemask_ps(mask)); }
};

#include "leanpose/simd/target_end.hpp"

}  // namespace leanpose::avx2

namespace leanpose::avx512 {

#include "leanpose/simd/target_avx512.hpp"

struct Floats {
    static constexpr int size = 16;
    using Bits = std::uint32_t;
    __m512 v;

    static Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
    static Floats all(float x) { return {_mm512_set1_ps(x)}; }
    static Floats from_bytes(const std::uint8_t* p) {
        return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
    }
    static Floats load_quads(const float* base, const std::int32_t* index) {
        const __m256 low = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(base + index[0])),
                                                _mm_loadu_ps(base + index[4]), 1);
        const __m256 high = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(base + index[8])),
                                                 _mm_loadu_ps(base + index[12]), 1);
        return {_mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1)};
    }
    struct Words {
        __m512i v;
        Floats byte(int shift) const {
            return {_mm512_cvtepi32_ps(
                _mm512_and_si512(_mm512_srli_epi32(v, static_cast<unsigned>(shift)), _mm512_set1_epi32(0xFF)))};
        }
    };
    static Words gather(const std::uint8_t* base, const std::int32_t* index) {
        return {_mm512_i32gather_epi32(_mm512_loadu_si512(index), base, 1)};
    }
    void store(float* p) const { _mm512_storeu_ps(p, v); }
    void store_half(std::uint16_t* p) const {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    }
    Floats reversed() const {
        const __m512i order = _mm512_setr_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        return {_mm512_permutexvar_ps(order, v)};
    }
    Floats operator+(Floats b) const { return {_mm512_add_ps(v, b.v)}; }
    Floats operator-(Floats b) const { return {_mm512_sub_ps(v, b.v)}; }
    Floats operator*(Floats b) const { return {_mm512_mul_ps(v, b.v)}; }
    static Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
    static Floats scale(Floats a, Floats shifted) {
        const __m512i power = _mm512_slli_epi32(_mm512_castps_si512(shifted.v), 23);
        return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), power))};
    }
    static Floats max(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
    static Bits equal(Floats a, Floats b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_EQ_OQ); }
    static Bits greater(Floats a, Floats b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ); }
    static Bits unordered(Floats a, Floats b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_UNORD_Q); }
    static void transpose(Floats& a, Floats& b, Floats& c, Floats& d) {
        const __m512 ab_low = _mm512_unpacklo_ps(a.v, b.v), cd_low = _mm512_unpacklo_ps(c.v, d.v);
        const __m512 ab_high = _mm512_unpackhi_ps(a.v, b.v), cd_high = _mm512_unpackhi_ps(c.v, d.v);
        a.v = _mm512_shuffle_ps(ab_low, cd_low, 0x44);
        b.v = _mm512_shuffle_ps(ab_low, cd_low, 0xEE);
        c.v = _mm512_shuffle_ps(ab_high, cd_high, 0x44);
        d.v = _mm512_shuffle_ps(ab_high, cd_high, 0xEE);
    }
};

#include "leanpose/simd/target_end.hpp"

}  // namespace leanpose::avx512

#elif defined(LEANPOSE_NEON)

namespace leanpose::neon {

struct Floats {
    static constexpr int size = 4;
    using Bits = std::uint32_t;
    float32x4_t v;

    static Floats load(const float* p) { return {vld1q_f32(p)}; }
    static Floats all(float x) { return {vdupq_n_f32(x)}; }
    static Floats from_bytes(const std::uint8_t* p) {
        std::uint32_t word;
        std::memcpy(&word, p, 4);
        const uint16x8_t wide = vmovl_u8(vcreate_u8(word));
        return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(wide)))};
    }
    static Floats load_quads(const float* base, const std::int32_t* index) { return load(base + index[0]); }
    struct Words {
        uint32x4_t v;
        Floats byte(int shift) const {
            return {vcvtq_f32_u32(vandq_u32(vshlq_u32(v, vdupq_n_s32(-shift)), vdupq_n_u32(0xFF)))};
        }
    };
    static Words gather(const std::uint8_t* base, const std::int32_t* index) {
        std::uint32_t words[4];
        for (int i = 0; i < 4; ++i) {
            std::memcpy(&words[i], base + index[i], 4);
        }
        return {vld1q_u32(words)};
    }
    void store(float* p) const { vst1q_f32(p, v); }
    void store_half(std::uint16_t* p) const { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v))); }
    Floats reversed() const {
        const float32x4_t swapped = vrev64q_f32(v);
        return {vcombine_f32(vget_high_f32(swapped), vget_low_f32(swapped))};
    }
    Floats operator+(Floats b) const { return {vaddq_f32(v, b.v)}; }
    Floats operator-(Floats b) const { return {vsubq_f32(v, b.v)}; }
    Floats operator*(Floats b) const { return {vmulq_f32(v, b.v)}; }
    static Floats fma(Floats a, Floats b, Floats c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
    static Floats scale(Floats a, Floats shifted) {
        const uint32x4_t power = vshlq_n_u32(vreinterpretq_u32_f32(shifted.v), 23);
        return {vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a.v), power))};
    }
    static Floats max(Floats a, Floats b) { return {vbslq_f32(vcgtq_f32(a.v, b.v), a.v, b.v)}; }
    static Bits equal(Floats a, Floats b) { return bits(vceqq_f32(a.v, b.v)); }
    static Bits greater(Floats a, Floats b) { return bits(vcgtq_f32(a.v, b.v)); }
    static Bits unordered(Floats a, Floats b) {
        return bits(vmvnq_u32(vandq_u32(vceqq_f32(a.v, a.v), vceqq_f32(b.v, b.v))));
    }
    static void transpose(Floats& a, Floats& b, Floats& c, Floats& d) {
        const float32x4x2_t ab = vtrnq_f32(a.v, b.v), cd = vtrnq_f32(c.v, d.v);
        a.v = vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0]));
        b.v = vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1]));
        c.v = vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0]));
        d.v = vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1]));
    }

private:
    static Bits bits(uint32x4_t mask) {
        const std::int32_t shifts[4] = {0, 1, 2, 3};
        return vaddvq_u32(vshlq_u32(vandq_u32(mask, vdupq_n_u32(1)), vld1q_s32(shifts)));
    }
};

}  // namespace leanpose::neon

#endif
