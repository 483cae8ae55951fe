// The smallest of test frameworks: CHECK counts what does not hold, and main returns `failed()`.
#pragma once

#include <cmath>
#include <cstdio>
#include <initializer_list>
#include <limits>

#include "leanpose/simd/isa.hpp"

namespace leanpose::test {

inline int failures = 0;

inline void check(bool holds, const char* expression, const char* file, int line) {
    if (!holds) {
        std::fprintf(stderr, "%s:%d: %s does not hold\n", file, line, expression);
        ++failures;
    }
}

inline bool near(double a, double b, double tolerance = 1e-4) {
    return std::abs(a - b) <= tolerance;
}

// Runs a test on every instruction set of this machine.
inline void on_every_isa(void (*run)()) {
    const Isa best = active_isa();
    for (const Isa isa : {Isa::portable, Isa::neon, Isa::avx2, Isa::avx512}) {
        if (use_isa(isa)) {
            const int before = failures;
            run();
            std::printf("%s: %s\n", isa_name(isa), failures == before ? "passed" : "failed");
        }
    }
    use_isa(best);
}

// The exit code of a test.
inline int failed() {
    if (failures > 0) {
        std::fprintf(stderr, "%d checks failed\n", failures);
    }
    return failures > 0 ? 1 : 0;
}

constexpr float inf = std::numeric_limits<float>::infinity();
constexpr float NaN = std::numeric_limits<float>::quiet_NaN();

}  // namespace leanpose::test

#define CHECK(expression) ::leanpose::test::check((expression), #expression, __FILE__, __LINE__)
