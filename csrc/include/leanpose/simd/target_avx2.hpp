// What follows is compiled for AVX2, until target_end.hpp. Meant to be included many times.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC diagnostic push
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif
