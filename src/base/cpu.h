// What this processor may be asked to do. Kernels that have a vector and a scalar path with the
// same bits choose by it at run time.
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
