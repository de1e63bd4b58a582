// DSV4_HC_COMB, DSV4_HC_PRE, DSV4_HC_POST (ggml-cpu/ops.cpp `ggml_compute_forward_dsv4_hc_*_f32`):
// DeepSeek 4's several residual streams, mixed before and after each block by weights of the token.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "replay/families.h"
#include "replay/recurrence.h"

namespace crossval {
namespace {

constexpr size_t kStreams = 4;  // all that ggml has

// [from][to], each with the variance of its relative error.
struct Mix {
  double values[kStreams][kStreams];
  double variances[kStreams][kStreams];
};

constexpr double kUnitSquared = kUnit32 * kUnit32;

// Columns (rows when not) divided by eps + their sum. Relative errors e become e - sum of p_l e_l,
// p = share of the sum, which takes away what a whole line has in common: that is why iterations do
// not pile them up. Fresh: four additions, the division, the product.
void normalize(Mix& mix, bool is_columns, double eps) {
  for (size_t line = 0; line < kStreams; ++line) {
    double* values[kStreams];
    double* variances[kStreams];
    double sum = eps, carried = 0;
    for (size_t i = 0; i < kStreams; ++i) {
      const size_t from = is_columns ? i : line, to = is_columns ? line : i;
      values[i] = &mix.values[from][to];
      variances[i] = &mix.variances[from][to];
      sum += *values[i];
    }
    double shares[kStreams];
    for (size_t i = 0; i < kStreams; ++i) {
      shares[i] = *values[i] / sum;
      carried += squared(shares[i]) * *variances[i];
    }
    for (size_t i = 0; i < kStreams; ++i) {
      const double of_others = std::max(0.0, carried - squared(shares[i]) * *variances[i]);
      *variances[i] = squared(1 - shares[i]) * *variances[i] + of_others + 6 * kUnitSquared;
      *values[i] = shares[i];
    }
  }
}

// Softmax of one row. An exponential passes on the absolute error of its argument: product, sum
// with the base, difference to the largest.
void softmax_row(std::array<double, kStreams> arguments,
                 std::array<double, kStreams> argument_variances, double eps, double* values,
                 double* variances) {
  const double largest = *std::max_element(arguments.begin(), arguments.end());
  double sum = 0, carried = 0;
  for (size_t i = 0; i < kStreams; ++i) {
    values[i] = std::exp(arguments[i] - largest);
    variances[i] = argument_variances[i] + rounding(arguments[i] - largest) + kUnitSquared;
    sum += values[i];
  }
  for (size_t i = 0; i < kStreams; ++i) {
    values[i] /= sum;
    carried += squared(values[i]) * variances[i];
  }
  for (size_t i = 0; i < kStreams; ++i) {
    const double of_others = std::max(0.0, carried - squared(values[i]) * variances[i]);
    const double relative = squared(1 - values[i]) * variances[i] + of_others + 5 * kUnitSquared;
    const double y = values[i] + eps;
    variances[i] = (squared(values[i]) * relative + rounding(y)) / squared(y);
    values[i] = y;
  }
}

}  // namespace

// Sources: 0 mixes [24, tokens], of which the last 16 count here, 1 scales [>= 3], 2 base [24];
// parameters: 0 eps, 1 iterations. Result [to, from, tokens].
bool replay_dsv4_hc_comb(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &mixes = in.source(0), &y = in.out();
  constexpr int64_t n = kStreams, n_mixes = n * (n + 2);
  require_shape(mixes.ne[0] == n_mixes && mixes.ne[2] == 1 && mixes.ne[3] == 1 &&
                    y.ne == std::array<int64_t, 4>{n, n, mixes.ne[1], 1} &&
                    in.source(1).ne[0] >= 3 && in.source(1).n_rows() == 1 &&
                    in.source(2).n_elements() == n_mixes,
                "mixes, base and result do not fit each other");
  const double eps = in.param_f32(0);
  // Whatever it starts from, the alternation has long converged by then.
  const int32_t n_iterations = in.param_i32(1);
  require_shape(n_iterations > 0 && n_iterations <= 10000, "the iterations make no sense");
  const std::span<const float> x = in.floats(0), base = in.floats(2);
  const double scale = in.floats(1)[2];
  out.resize(y.n_elements());
  for (int64_t token = 0; token < mixes.ne[1]; ++token) {
    Mix mix;
    for (size_t from = 0; from < kStreams; ++from) {
      std::array<double, kStreams> arguments, variances;
      for (size_t to = 0; to < kStreams; ++to) {
        const size_t i = 2 * kStreams + from * kStreams + to;
        const double product = x[static_cast<size_t>(token * n_mixes) + i] * scale;
        arguments[to] = product + base[i];
        variances[to] = rounding(product) + rounding(arguments[to]);
      }
      softmax_row(arguments, variances, eps, mix.values[from], mix.variances[from]);
    }
    normalize(mix, true, eps);
    for (int32_t i = 1; i < n_iterations; ++i) {
      normalize(mix, false, eps);
      normalize(mix, true, eps);
    }
    for (size_t i = 0; i < kStreams * kStreams; ++i) {
      const double value = mix.values[i / kStreams][i % kStreams];
      out.set(token * n * n + static_cast<int64_t>(i), value,
              std::fabs(value) * sigma_of(mix.variances[i / kStreams][i % kStreams]));
    }
  }
  return true;
}

// Sources: 0 x [n, streams, tokens], 1 weights [streams, tokens], or, gated, [n, streams, tokens]
// before their sigmoid; parameters: 0 scale, 1 gated. Engines without parameters hold 0 there.
bool replay_dsv4_hc_pre(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &w = in.source(1), &y = in.out();
  const int64_t n = x.ne[0], n_streams = x.ne[1], n_tokens = x.ne[2];
  const bool is_gated = in.param_i32(1) != 0;
  const double scale = in.param_i32(0) == 0 ? 1 : in.param_f32(0);
  require_shape(y.ne == std::array<int64_t, 4>{n, n_tokens, 1, 1} && x.ne[3] == 1,
                "the result has another shape than its sources give");
  require_shape(is_gated ? w.ne == x.ne : w.ne == std::array<int64_t, 4>{n_streams, n_tokens, 1, 1},
                "the weights do not fit the streams");
  const std::span<const float> values = in.floats(0), weights = in.floats(1);
  out.resize(y.n_elements());
  in.pool().run(n_tokens, [&](int64_t token, int) {
    for (int64_t i = 0; i < n; ++i) {
      RoundedSum sum;
      double carried = 0;
      for (int64_t stream = 0; stream < n_streams; ++stream) {
        const int64_t at = token * n_streams + stream;
        const double value = values[static_cast<size_t>(at * n + i)];
        double weight = weights[static_cast<size_t>(is_gated ? at * n + i : at)];
        if (is_gated) {
          weight = 1 / (1 + std::exp(-weight));
          // Exponential (its share of 1 + e), sum, quotient.
          carried += squared(value * weight) * (squared(1 - weight) + 2) * kUnitSquared;
        }
        sum.add(value * weight);
      }
      const double result = scale * sum.sum();
      out.set(token * n + i, result,
              sigma_of(squared(scale) * (carried + sum.variance()) + rounding(result)));
    }
  });
  return true;
}

// Sources: 0 x [n, tokens], 1 residual [n, streams, tokens], 2 post [streams, tokens], 3 comb [to,
// from, tokens]; without it each stream keeps its own residual.
bool replay_dsv4_hc_post(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &residual = in.source(1), &post = in.source(2), &y = in.out();
  const int64_t n = x.ne[0], n_tokens = x.ne[1], n_streams = residual.ne[1];
  const bool has_comb = in.has(3);
  require_shape(residual.ne == std::array<int64_t, 4>{n, n_streams, n_tokens, 1} &&
                    y.ne == residual.ne && x.ne[2] == 1 && x.ne[3] == 1 &&
                    post.ne == std::array<int64_t, 4>{n_streams, n_tokens, 1, 1},
                "streams, weights and result do not fit each other");
  require_shape(
      !has_comb || in.source(3).ne == std::array<int64_t, 4>{n_streams, n_streams, n_tokens, 1},
      "the mixing weights do not fit the streams");
  const std::span<const float> values = in.floats(0), streams = in.floats(1),
                               weights = in.floats(2);
  const std::span<const float> comb = has_comb ? in.floats(3) : std::span<const float>();
  out.resize(y.n_elements());
  in.pool().run(n_tokens * n_streams, [&](int64_t row, int) {
    const int64_t token = row / n_streams, to = row % n_streams;
    for (int64_t i = 0; i < n; ++i) {
      RoundedSum sum;
      sum.add(double{values[static_cast<size_t>(token * n + i)]} *
              weights[static_cast<size_t>(row)]);
      if (!has_comb) sum.add(streams[static_cast<size_t>(row * n + i)]);
      for (int64_t from = 0; has_comb && from < n_streams; ++from) {
        const int64_t at = token * n_streams + from;
        sum.add(double{streams[static_cast<size_t>(at * n + i)]} *
                comb[static_cast<size_t>(at * n_streams + to)]);
      }
      out.set(row * n + i, sum.sum(), sigma_of(sum.variance()));
    }
  });
  return true;
}

}  // namespace crossval
