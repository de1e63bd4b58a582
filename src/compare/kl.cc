// One pass with a vectorised exp in double. With x = logit - row maximum and Z = sum of exp(x):
//   KL(b || e) = sum(exp(x_b) (x_b - x_e)) / Z_b - log Z_b + log Z_e
// Both paths do the same operations in the same eight lanes, so every CPU gives the same bits.
#include "compare/kl.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/cpu.h"
#if CROSSVAL_X86
#include <immintrin.h>
#endif

namespace crossval {
namespace {

constexpr int kLanes = 8;
// exp(x) = 2^n exp(r), |r| <= ln(2)/2, by the Taylor series to r^11: relative error below 1e-14.
// ln 2 in two parts (fdlibm e_exp.c), so that n ln2 is subtracted without loss.
constexpr double kLog2E = 1.4426950408889634, kLn2High = 6.93147180369123816490e-01,
                 kLn2Low = 1.90821492927058770002e-10;
constexpr double kRoundMagic = 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer
constexpr double kLowest = -708;  // exp of anything lower counts as exp(-708) = 3e-308: nothing
constexpr double kTaylor[] = {1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320,
                              1.0 / 5040,     1.0 / 720,     1.0 / 120,    1.0 / 24,
                              1.0 / 6,        0.5,           1.0,          1.0};

double exp_scalar(double x) {
  x = std::max(x, kLowest);
  const double shifted = std::fma(x, kLog2E, kRoundMagic);
  const double n = shifted - kRoundMagic;
  const double r = std::fma(-n, kLn2Low, std::fma(-n, kLn2High, x));
  double p = kTaylor[0];
  for (size_t i = 1; i < std::size(kTaylor); ++i) p = std::fma(p, r, kTaylor[i]);
  // The low mantissa bits of `shifted` are n: add them to the exponent of p.
  return std::bit_cast<double>(std::bit_cast<uint64_t>(p) +
                               (std::bit_cast<uint64_t>(shifted) << 52));
}

struct Lanes {
  double z_engine[kLanes] = {}, z_backend[kLanes] = {}, weighted[kLanes] = {};
};

double fold(const double* lane) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

double finish(Lanes& lanes, std::span<const float> engine, std::span<const float> backend,
              double max_engine, double max_backend, size_t start) {
  for (size_t i = start; i < engine.size(); ++i) {
    const double x_e = engine[i] - max_engine, x_b = backend[i] - max_backend;
    const double w_b = exp_scalar(x_b);
    const size_t lane = i % kLanes;
    lanes.z_engine[lane] += exp_scalar(x_e);
    lanes.z_backend[lane] += w_b;
    lanes.weighted[lane] = std::fma(w_b, x_b - x_e, lanes.weighted[lane]);
  }
  const double z_engine = fold(lanes.z_engine), z_backend = fold(lanes.z_backend);
  const double kl = fold(lanes.weighted) / z_backend - std::log(z_backend / z_engine);
  // Rounding can leave -1e-16 where the true value is a smaller positive number.
  return kl > 0 ? kl : 0;
}

#if CROSSVAL_X86
[[gnu::target("avx2,fma")]] inline __m256d exp_avx2(__m256d x) {
  x = _mm256_max_pd(x, _mm256_set1_pd(kLowest));
  const __m256d magic = _mm256_set1_pd(kRoundMagic);
  const __m256d shifted = _mm256_fmadd_pd(x, _mm256_set1_pd(kLog2E), magic);
  const __m256d n = _mm256_sub_pd(shifted, magic);
  const __m256d r = _mm256_fnmadd_pd(n, _mm256_set1_pd(kLn2Low),
                                     _mm256_fnmadd_pd(n, _mm256_set1_pd(kLn2High), x));
  __m256d p = _mm256_set1_pd(kTaylor[0]);
  for (size_t i = 1; i < std::size(kTaylor); ++i) {
    p = _mm256_fmadd_pd(p, r, _mm256_set1_pd(kTaylor[i]));
  }
  return _mm256_castsi256_pd(_mm256_add_epi64(_mm256_castpd_si256(p),
                                              _mm256_slli_epi64(_mm256_castpd_si256(shifted), 52)));
}

[[gnu::target("avx2,fma")]] double kl_avx2(std::span<const float> engine,
                                           std::span<const float> backend, double max_engine,
                                           double max_backend) {
  const __m256d top_e = _mm256_set1_pd(max_engine), top_b = _mm256_set1_pd(max_backend);
  __m256d z_e[2], z_b[2], weighted[2];
  for (int h = 0; h < 2; ++h) z_e[h] = z_b[h] = weighted[h] = _mm256_setzero_pd();
  const size_t n_full = engine.size() / kLanes * kLanes;
  for (size_t i = 0; i < n_full; i += kLanes) {
    for (int h = 0; h < 2; ++h) {
      const __m256d x_e =
          _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(engine.data() + i + 4 * h)), top_e);
      const __m256d x_b =
          _mm256_sub_pd(_mm256_cvtps_pd(_mm_loadu_ps(backend.data() + i + 4 * h)), top_b);
      const __m256d w_b = exp_avx2(x_b);
      z_e[h] = _mm256_add_pd(z_e[h], exp_avx2(x_e));
      z_b[h] = _mm256_add_pd(z_b[h], w_b);
      weighted[h] = _mm256_fmadd_pd(w_b, _mm256_sub_pd(x_b, x_e), weighted[h]);
    }
  }
  Lanes lanes;
  for (int h = 0; h < 2; ++h) {
    _mm256_storeu_pd(lanes.z_engine + 4 * h, z_e[h]);
    _mm256_storeu_pd(lanes.z_backend + 4 * h, z_b[h]);
    _mm256_storeu_pd(lanes.weighted + 4 * h, weighted[h]);
  }
  return finish(lanes, engine, backend, max_engine, max_backend, n_full);
}
#endif

}  // namespace

double kl_divergence_scalar(std::span<const float> engine, std::span<const float> backend,
                            float max_engine, float max_backend) {
  assert(engine.size() == backend.size() && !engine.empty());
  Lanes lanes;
  return finish(lanes, engine, backend, max_engine, max_backend, 0);
}

double kl_divergence(std::span<const float> engine, std::span<const float> backend,
                     float max_engine, float max_backend) {
  assert(engine.size() == backend.size() && !engine.empty());
#if CROSSVAL_X86
  if (cpu_has_avx2_fma()) return kl_avx2(engine, backend, max_engine, max_backend);
#endif
  return kl_divergence_scalar(engine, backend, max_engine, max_backend);
}

}  // namespace crossval
