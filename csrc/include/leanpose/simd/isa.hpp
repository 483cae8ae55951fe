// Instruction sets: which are compiled in, which this CPU runs, which one the kernels use.
#pragma once

#include <atomic>
#include <initializer_list>

// x86-64 kernels carry their own target and are chosen at run time; NEON is part of every aarch64.
#if defined(__x86_64__) && defined(__GNUC__)
#define LEANPOSE_X86 1
#include <immintrin.h>
#elif defined(__aarch64__) && defined(__GNUC__)
#define LEANPOSE_NEON 1
#include <arm_neon.h>
#endif

#if defined(__GNUC__)
#define LEANPOSE_PREFETCH(address) __builtin_prefetch(address)  // any address will do
#else
#define LEANPOSE_PREFETCH(address) static_cast<void>(0)
#endif

namespace leanpose {

enum class Isa { portable, neon, avx2, avx512 };

inline const char* isa_name(Isa isa) {
    switch (isa) {
        case Isa::portable: return "portable";
        case Isa::neon: return "neon";
        case Isa::avx2: return "avx2";
        case Isa::avx512: return "avx512";
    }
    return "";
}

// Whether the kernels for `isa` are compiled in and this CPU and operating system run them.
inline bool isa_available(Isa isa) {
    switch (isa) {
        case Isa::portable: return true;
#if defined(LEANPOSE_NEON)
        case Isa::neon: return true;
#elif defined(LEANPOSE_X86)
        case Isa::avx2:  // F16C is older than both, and not every compiler can ask for it
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        case Isa::avx512:
            return isa_available(Isa::avx2) && __builtin_cpu_supports("avx512f") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512vl");
#endif
        default: return false;
    }
}

namespace detail {

inline Isa best_isa() {
    for (const Isa isa : {Isa::avx512, Isa::avx2, Isa::neon}) {
        if (isa_available(isa)) {
            return isa;
        }
    }
    return Isa::portable;
}

inline std::atomic<Isa>& chosen_isa() {
    static std::atomic<Isa> isa{best_isa()};
    return isa;
}

}  // namespace detail

// What the kernels of this process use: the best available, unless `use_isa` chose another.
inline Isa active_isa() {
    return detail::chosen_isa().load(std::memory_order_relaxed);
}

// For tests, benchmarks and bisecting; results differ in the last bits only. False, and no change, where unavailable.
inline bool use_isa(Isa isa) {
    if (!isa_available(isa)) {
        return false;
    }
    detail::chosen_isa().store(isa, std::memory_order_relaxed);
    return true;
}

}  // namespace leanpose

// Calls the kernel `function` of an instruction set that is available.
#if defined(LEANPOSE_X86)
#define LEANPOSE_DISPATCH_ON(isa, function, ...)                                  \
    ((isa) == ::leanpose::Isa::avx512 ? ::leanpose::avx512::function(__VA_ARGS__) \
     : (isa) == ::leanpose::Isa::avx2 ? ::leanpose::avx2::function(__VA_ARGS__)   \
                                      : ::leanpose::portable::function(__VA_ARGS__))
#elif defined(LEANPOSE_NEON)
#define LEANPOSE_DISPATCH_ON(isa, function, ...)                              \
    ((isa) == ::leanpose::Isa::neon ? ::leanpose::neon::function(__VA_ARGS__) \
                                    : ::leanpose::portable::function(__VA_ARGS__))
#else
#define LEANPOSE_DISPATCH_ON(isa, function, ...) ::leanpose::portable::function(__VA_ARGS__)
#endif

// Calls the kernel `function` of the active instruction set.
#define LEANPOSE_DISPATCH(function, ...) LEANPOSE_DISPATCH_ON(::leanpose::active_isa(), function, __VA_ARGS__)
