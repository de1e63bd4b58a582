// Whether the comparison kernels may use AVX2 and FMA on this machine. Both paths of every kernel
// give the same bits, so this only decides speed.
#pragma once

#if defined(__x86_64__)
#define CROSSVAL_X86 1
#else
#define CROSSVAL_X86 0
#endif

namespace crossval {

inline bool cpu_has_avx2_fma() {
#if CROSSVAL_X86
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  return has;
#else
  return false;
#endif
}

}  // namespace crossval
