// Compiles the file LEANPOSE_KERNELS once for each instruction set, in the namespace leanpose::LEANPOSE_ISA, where
// `Floats` is its vector. Meant to be included many times. Kernels call no standard template: an instance that is first
// made here would be compiled for this instruction set and could be linked into code for all CPUs.
#include "leanpose/simd/floats.hpp"

#define LEANPOSE_ISA portable
#include LEANPOSE_KERNELS
#undef LEANPOSE_ISA

#if defined(LEANPOSE_NEON)

#define LEANPOSE_ISA neon
#include LEANPOSE_KERNELS
#undef LEANPOSE_ISA

#elif defined(LEANPOSE_X86)

#define LEANPOSE_ISA avx2
#include "leanpose/simd/target_avx2.hpp"
#include LEANPOSE_KERNELS
#include "leanpose/simd/target_end.hpp"
#undef LEANPOSE_ISA

#define LEANPOSE_ISA avx512
#include "leanpose/simd/target_avx512.hpp"
#include LEANPOSE_KERNELS
#include "leanpose/simd/target_end.hpp"
#undef LEANPOSE_ISA

#endif

#undef LEANPOSE_KERNELS
