// Norms (ggml-cpu/ops.cpp `ggml_compute_forward_*norm*_f32`), recomputed in double. Engines sum
// squares in double (RMS, L2, group) or in f32 lanes (NORM's variance); mean, root, reciprocal and
// product are one f32 rounding each, the first three shared by the whole row: up to 5 halves of a
// unit when all of them add up; 2.5 was seen over a row (SmolLM2), 2 is sigma.
#include <algorithm>
#include <cmath>
#include <span>

#include "replay/families.h"

namespace crossval {
namespace {

constexpr double kSigma = 2 * kUnit32;

bool is_same_shape(const TapTensor& a, const TapTensor& b) { return a.ne == b.ne; }

template <typename Row>
bool each_row(Inputs& in, int variant, Recomputed& out, const Row& row) {
  if (variant > 0) return false;
  const TapTensor& x = in.source(0);
  require_shape(is_same_shape(x, in.out()) && x.ne[0] > 0, "a norm keeps the shape");
  const std::span<const float> values = in.floats(0);
  out.resize(x.n_elements());
  in.pool().run(x.n_rows(), [&](int64_t r, int) {
    row(r, values.subspan(static_cast<size_t>(r * x.ne[0]), static_cast<size_t>(x.ne[0])));
  });
  return true;
}

double sum_of_squares(std::span<const float> x) {
  double sum = 0;
  for (const float value : x) sum += double{value} * value;
  return sum;
}

struct Moments {
  double mean, variance;
};

Moments moments(std::span<const float> x) {
  double sum = 0, squares = 0;
  for (const float value : x) sum += value;
  const double mean = sum / static_cast<double>(x.size());
  for (const float value : x) squares += (value - mean) * (value - mean);
  return {mean, squares / static_cast<double>(x.size())};
}

// A source with an element for each of a row, or with a row for each head; empty where it is not
// there.
std::span<const float> rows_of(Inputs& in, size_t source) {
  if (!in.has(source)) return {};
  const int64_t n = in.source(source).n_elements(), row = in.source(0).ne[0];
  require_shape(n == row || n == row * in.source(0).ne[1], "the weight is no row");
  return in.floats(source);
}

}  // namespace

bool replay_rms_norm(Inputs& in, int variant, Recomputed& out) {
  const double eps = in.param_f32(0);
  return each_row(in, variant, out, [&](int64_t r, std::span<const float> x) {
    const auto n = static_cast<int64_t>(x.size());
    const double scale = 1 / std::sqrt(sum_of_squares(x) / static_cast<double>(n) + eps);
    for (int64_t i = 0; i < n; ++i) {
      const double y = x[static_cast<size_t>(i)] * scale;
      out.set(r * n + i, y, kSigma * std::fabs(y));
    }
  });
}

// ik_llama.cpp: RMS norm times a weight vector, in one operation.
bool replay_fused_rms_norm(Inputs& in, int variant, Recomputed& out) {
  const double eps = in.param_f32(0);
  require_shape(in.source(1).n_elements() == in.source(0).ne[0], "the weight is no row");
  const std::span<const float> weight = in.floats(1);
  return each_row(in, variant, out, [&](int64_t r, std::span<const float> x) {
    const auto n = static_cast<int64_t>(x.size());
    const double scale = 1 / std::sqrt(sum_of_squares(x) / static_cast<double>(n) + eps);
    for (int64_t i = 0; i < n; ++i) {
      const double y = x[static_cast<size_t>(i)] * scale * weight[static_cast<size_t>(i)];
      out.set(r * n + i, y, 1.25 * kSigma * std::fabs(y));
    }
  });
}

// With a weight and a bias behind it where it has them (torch's layer_norm, FUSED_NORM).
bool replay_norm(Inputs& in, int variant, Recomputed& out) {
  const double eps = in.param_f32(0);
  const bool is_fused = in.operation().op == "FUSED_NORM";
  const std::span<const float> weight = rows_of(in, 1), bias = rows_of(in, 2);
  return each_row(in, variant, out, [&](int64_t r, std::span<const float> x) {
    const auto n = static_cast<int64_t>(x.size());
    const Moments m = moments(x);
    const double scale = 1 / std::sqrt(m.variance + eps);
    // The variance is summed in lanes of f32, 8 or 4 side by side: a chain of n / 4 additions of
    // positive terms. The mean is rounded before it is taken away.
    const double of_variance = 0.3 * std::sqrt(static_cast<double>(n) / 4) * kUnit32;
    // torch's mean is a running one in f32 (aten native/cpu/moments_utils.h `RowwiseMoments`).
    const double of_mean = is_fused ? 0.3 * kUnit32 * std::sqrt(m.variance) : 0;
    for (int64_t i = 0; i < n; ++i) {
      const double value = x[static_cast<size_t>(i)];
      const double factor =
          weight.empty() ? 1 : double{weight[static_cast<size_t>(r * n + i) % weight.size()]};
      const double y = (value - m.mean) * scale * factor;
      const double sum = bias.empty() ? y : y + bias[static_cast<size_t>(r * n + i) % bias.size()];
      out.set(r * n + i, sum,
              (kSigma + of_variance) * std::fabs(y) + 0.5 * kUnit32 * std::fabs(sum - y) +
                  kUnit32 * (std::fabs(m.mean) + std::fabs(value)) * scale * std::fabs(factor) +
                  of_mean * scale * std::fabs(factor));
    }
  });
}

bool replay_l2_norm(Inputs& in, int variant, Recomputed& out) {
  const double eps = in.param_f32(0);
  return each_row(in, variant, out, [&](int64_t r, std::span<const float> x) {
    const auto n = static_cast<int64_t>(x.size());
    const double scale = 1 / std::max(std::sqrt(sum_of_squares(x)), eps);
    for (int64_t i = 0; i < n; ++i) {
      const double y = x[static_cast<size_t>(i)] * scale;
      out.set(r * n + i, y, kSigma * std::fabs(y));
    }
  });
}

bool replay_group_norm(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor& x = in.source(0);
  const int64_t n_groups = in.param_i32(0);
  const double eps = in.param_f32(1);
  require_shape(is_same_shape(x, in.out()) && n_groups > 0 && x.n_elements() > 0,
                "a norm keeps the shape");
  const std::span<const float> values = in.floats(0);
  out.resize(x.n_elements());
  const int64_t channel = x.ne[0] * x.ne[1];
  const int64_t per_group = (x.ne[2] + n_groups - 1) / n_groups;
  for (int64_t i3 = 0; i3 < x.ne[3]; ++i3) {
    for (int64_t first = 0; first < x.ne[2]; first += per_group) {
      const int64_t n = std::min(per_group, x.ne[2] - first) * channel;
      const int64_t start = (i3 * x.ne[2] + first) * channel;
      const auto group = values.subspan(static_cast<size_t>(start), static_cast<size_t>(n));
      const Moments m = moments(group);
      const double scale = 1 / std::sqrt(m.variance + eps);
      for (int64_t i = 0; i < n; ++i) {
        const double value = group[static_cast<size_t>(i)];
        const double y = (value - m.mean) * scale;
        out.set(start + i, y,
                kSigma * std::fabs(y) + kUnit32 * (std::fabs(m.mean) + std::fabs(value)) * scale);
      }
    }
  }
  return true;
}

}  // namespace crossval
