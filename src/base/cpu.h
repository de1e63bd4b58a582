// What this processor may be asked to do. Kernels that have a vector and a scalar path with the
// same bits choose by it at run time.
#pragma once

#if defined(__x86_64__)
#define CROSSVAL_X86 1
#include <cpuid.h>
#else
#define CROSSVAL_X86 0
#endif

namespace crossval {

// Conversion of half floats (F16C), which gcc 12 cannot be asked for: CPUID leaf 1, ECX bit 29.
inline bool cpu_has_f16c() {
#if CROSSVAL_X86
  static const bool has = [] {
    unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx >> 29 & 1) != 0;
  }();
  return has;
#else
  return false;
#endif
}

// AVX2 as the OS allows it too.
inline bool cpu_has_avx2_fma() {
#if CROSSVAL_X86
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
#else
  return false;
#endif
}

}  // namespace crossval
