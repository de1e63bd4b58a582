// The distance sums: an AVX2 kernel and the scalar reference with the same lanes in the same order.
#include "compare/distance.h"

#include <cassert>
#include <cmath>
#include <limits>

#include "base/cpu.h"
#if CROSSVAL_X86
#include <immintrin.h>
#endif

namespace crossval {
namespace {

constexpr int kLanes = 8;

struct Lanes {
  double dot[kLanes] = {}, ee[kLanes] = {}, bb[kLanes] = {}, dd[kLanes] = {}, d[kLanes] = {};
  double max_abs[kLanes] = {};

  void add(int lane, float e_in, float b_in) {
    const double e = e_in, b = b_in, diff = e - b;
    dot[lane] += e * b;  // f32 products are exact in double
    ee[lane] += e * e;
    bb[lane] += b * b;
    dd[lane] += diff * diff;
    d[lane] += diff;
    const double size = std::fabs(diff);
    if (size > max_abs[lane]) max_abs[lane] = size;
  }
};

double fold(const double* lane) {
  return ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
}

// The entries after the last full group of eight, then the fixed-order reduction of the lanes.
DistanceSums finish(Lanes& lanes, std::span<const float> e, std::span<const float> b,
                    size_t start) {
  for (size_t i = start; i < e.size(); ++i) lanes.add(static_cast<int>(i % kLanes), e[i], b[i]);
  DistanceSums sums;
  sums.dot = fold(lanes.dot);
  sums.ee = fold(lanes.ee);
  sums.bb = fold(lanes.bb);
  sums.dd = fold(lanes.dd);
  sums.d = fold(lanes.d);
  for (const double size : lanes.max_abs) {
    if (size > sums.max_abs) sums.max_abs = size;
  }
  return sums;
}

#if CROSSVAL_X86
[[gnu::target("avx2")]] DistanceSums distance_sums_avx2(std::span<const float> e,
                                                        std::span<const float> b) {
  __m256d dot[2], ee[2], bb[2], dd[2], d[2], top[2];
  for (int h = 0; h < 2; ++h) {
    dot[h] = ee[h] = bb[h] = dd[h] = d[h] = top[h] = _mm256_setzero_pd();
  }
  const __m256d no_sign = _mm256_castsi256_pd(_mm256_set1_epi64x(INT64_MAX));
  const size_t n_full = e.size() / kLanes * kLanes;
  for (size_t i = 0; i < n_full; i += kLanes) {
    for (int h = 0; h < 2; ++h) {
      const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(e.data() + i + 4 * h));
      const __m256d y = _mm256_cvtps_pd(_mm_loadu_ps(b.data() + i + 4 * h));
      const __m256d diff = _mm256_sub_pd(x, y);
      dot[h] = _mm256_add_pd(dot[h], _mm256_mul_pd(x, y));
      ee[h] = _mm256_add_pd(ee[h], _mm256_mul_pd(x, x));
      bb[h] = _mm256_add_pd(bb[h], _mm256_mul_pd(y, y));
      dd[h] = _mm256_add_pd(dd[h], _mm256_mul_pd(diff, diff));
      d[h] = _mm256_add_pd(d[h], diff);
      top[h] = _mm256_max_pd(_mm256_and_pd(diff, no_sign), top[h]);
    }
  }
  Lanes lanes;
  for (int h = 0; h < 2; ++h) {
    _mm256_storeu_pd(lanes.dot + 4 * h, dot[h]);
    _mm256_storeu_pd(lanes.ee + 4 * h, ee[h]);
    _mm256_storeu_pd(lanes.bb + 4 * h, bb[h]);
    _mm256_storeu_pd(lanes.dd + 4 * h, dd[h]);
    _mm256_storeu_pd(lanes.d + 4 * h, d[h]);
    _mm256_storeu_pd(lanes.max_abs + 4 * h, top[h]);
  }
  return finish(lanes, e, b, n_full);
}
#endif

}  // namespace

DistanceSums distance_sums_scalar(std::span<const float> engine, std::span<const float> backend) {
  assert(engine.size() == backend.size());
  Lanes lanes;
  return finish(lanes, engine, backend, 0);
}

DistanceSums distance_sums(std::span<const float> engine, std::span<const float> backend) {
  assert(engine.size() == backend.size());
#if CROSSVAL_X86
  if (cpu_has_avx2_fma()) return distance_sums_avx2(engine, backend);
#endif
  return distance_sums_scalar(engine, backend);
}

int64_t find_max_abs(std::span<const float> engine, std::span<const float> backend,
                     double max_abs) {
  assert(engine.size() == backend.size());
  for (size_t i = 0; i < engine.size(); ++i) {
    const double e = engine[i], b = backend[i];
    if (std::fabs(e - b) == max_abs) return static_cast<int64_t>(i);
  }
  return -1;
}

int64_t count_non_finite(std::span<const float> row) {
  int64_t n = 0;
  for (const float x : row) n += std::isfinite(x) ? 0 : 1;
  return n;
}

double relative_distance(std::span<const float> a, std::span<const float> b) {
  const DistanceSums sums = distance_sums(a, b);
  if (!std::isfinite(sums.dd) || !std::isfinite(sums.bb)) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  if (sums.dd == 0) return 0;
  if (sums.bb == 0) return std::numeric_limits<double>::quiet_NaN();
  return std::sqrt(sums.dd) / std::sqrt(sums.bb);
}

}  // namespace crossval
