// FLASH_ATTN_EXT (ggml-cpu/ops.cpp `ggml_compute_forward_flash_attn_ext_*`). Sources: 0 q [dk, n,
// h, b], 1 k [dk, n_kv, hk, b], 2 v [dv, n_kv, hv, b], 3 mask [n_kv, >= n, ..], 4 sinks [h]; result
// [dv, h, n, b]; parameters: 0 scale, 1 max_bias, 2 soft cap.
//
// Arithmetics: q as it is (tiles of a batch), or rounded as k's type asks (one row at a time); and
// with v in f16, one row at a time, sums in f16 too, which is repeated here step by step because
// its errors are a thousand times those of f32.
#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "base/half.h"
#include "replay/attention_mask.h"
#include "replay/families.h"
#include "replay/matmul.h"

namespace crossval {
namespace {

struct Attention {
  int64_t dk, dv, n, n_kv, n_heads, n_batches;
  float scale, max_bias, softcap;
  std::span<const float> mask, sinks, v;
  std::array<int64_t, 4> mask_ne, v_ne;
  bool sums_in_f16;
};

struct Scores {
  std::vector<float> values, sigma;  // [n, n_kv] of one head, before scaling
};

void attend(const Attention& a, const Scores& scores, int64_t batch, int64_t head, int64_t token,
            Recomputed& out) {
  constexpr double kMinusInf = -std::numeric_limits<double>::infinity();
  const double slope = alibi_slope(a.max_bias, head, a.n_heads);
  const auto n_kv = static_cast<size_t>(a.n_kv);
  const double scale = a.softcap != 0 ? double{a.scale} / a.softcap : a.scale;
  std::vector<double> z(n_kv), error(n_kv);
  double largest = kMinusInf;
  for (size_t j = 0; j < n_kv; ++j) {
    const size_t at = static_cast<size_t>(token) * n_kv + j;
    const double scaled = scores.values[at] * scale;
    z[j] = a.softcap != 0 ? a.softcap * std::tanh(scaled) : scaled;
    error[j] = std::fabs(double{scores.sigma[at]} * a.scale) + kUnit32 * 2 * std::fabs(z[j]);
    if (!a.mask.empty()) {
      const int64_t row =
          ((batch % a.mask_ne[3]) * a.mask_ne[2] + head % a.mask_ne[2]) * a.mask_ne[1] + token;
      z[j] += slope * a.mask[static_cast<size_t>(row) * n_kv + j];
    }
    largest = std::max(largest, z[j]);
  }
  const int64_t v_head = head / (a.n_heads / a.v_ne[2]);
  const float* v =
      a.v.data() + (batch / (a.n_batches / a.v_ne[3]) * a.v_ne[2] + v_head) * a.n_kv * a.dv;
  const auto dv = static_cast<size_t>(a.dv);
  std::vector<double> y(dv), bound(dv), magnitude(dv);
  std::vector<float> half_sums(a.sums_in_f16 ? dv : 0);
  double sum = 0, running = kMinusInf;
  const double in_a_row = 2 + 0.3 * std::sqrt(static_cast<double>(a.n_kv));
  for (size_t j = 0; j < n_kv; ++j) {
    if (z[j] == kMinusInf) continue;
    const double weight = std::exp(z[j] - largest);
    const double of_weight =
        weight * (error[j] + kUnit32 * (in_a_row + 0.6 * (std::fabs(z[j]) + std::fabs(largest))));
    const float* row = v + j * dv;
    sum += weight;
    for (size_t d = 0; d < dv; ++d) {
      y[d] += weight * row[d];
      bound[d] += of_weight * std::fabs(row[d]);
      magnitude[d] += weight * std::fabs(row[d]);
    }
    if (!a.sums_in_f16) continue;
    float term = 1;
    if (z[j] > running) {
      const auto shrink = static_cast<float>(std::exp(running - z[j]));
      for (float& part : half_sums) part = f16_to_f32(f32_to_f16(part * shrink));
      running = z[j];
    } else {
      term = static_cast<float>(std::exp(z[j] - running));
    }
    for (size_t d = 0; d < dv; ++d) {
      half_sums[d] = f16_to_f32(f32_to_f16(std::fma(row[d], term, half_sums[d])));
    }
  }
  if (a.sums_in_f16) {
    // An error of one sum may land on the other side of a half's boundary: a unit of what the sum
    // was then, now and then. Seen on SmolLM2: 2e-5 in the mean, 2e-4 over the worst row.
    for (size_t d = 0; d < dv; ++d) {
      y[d] = half_sums[d];
      bound[d] += kUnit16 * 0.4 * std::max(magnitude[d], 0x1p-14);
    }
  }
  if (!a.sinks.empty()) {
    const double sink = a.sinks[static_cast<size_t>(head)];
    const double top = std::max(largest, sink);
    const double shrink = std::exp(largest - top);
    for (size_t d = 0; d < dv; ++d) {
      y[d] *= shrink;
      bound[d] *= shrink;
    }
    sum = sum * shrink + std::exp(sink - top);
  }
  const int64_t to = ((batch * a.n + token) * a.n_heads + head) * a.dv;
  for (size_t d = 0; d < dv; ++d) {
    // Nothing to attend to: engines give 0.
    const double value = sum == 0 ? 0 : y[d] / sum;
    out.set(to + static_cast<int64_t>(d), value,
            sum == 0 ? 0 : bound[d] / sum + kUnit32 * std::fabs(value));
  }
}

}  // namespace

bool replay_flash_attn(Inputs& in, int variant, Recomputed& out) {
  const TapTensor &q = in.source(0), &k = in.source(1), &v = in.source(2), &y = in.out();
  require_shape(q.ne[0] > 0 && q.ne[0] == k.ne[0] && k.ne[1] > 0 && k.ne[1] == v.ne[1] &&
                    k.ne[2] > 0 && k.ne[3] > 0 && v.ne[2] > 0 && v.ne[3] > 0 &&
                    q.ne[2] % k.ne[2] == 0 && q.ne[3] % k.ne[3] == 0 && q.ne[2] % v.ne[2] == 0 &&
                    q.ne[3] % v.ne[3] == 0 && y.ne[0] == v.ne[0] && y.ne[1] == q.ne[2] &&
                    y.ne[2] == q.ne[1] && y.ne[3] == q.ne[3],
                "queries, keys, values and result do not fit each other");
  const WeightView keys = in.matrix(1);
  require_shape(q.ne[0] % keys.format->block_len == 0, "keys are no whole number of blocks");
  out.arithmetic = product_arithmetic(*keys.format, variant);
  bool sums_in_f16 = false;
  if (out.arithmetic == nullptr) {
    const bool is_last = variant > 0 && product_arithmetic(*keys.format, variant - 1) != nullptr;
    if (v.type != GgmlType::F16 || !is_last) return false;
    out.arithmetic = "f16 sums";
    sums_in_f16 = true;
    variant = 0;
  }
  Attention a{.dk = q.ne[0],
              .dv = v.ne[0],
              .n = q.ne[1],
              .n_kv = k.ne[1],
              .n_heads = q.ne[2],
              .n_batches = q.ne[3],
              .scale = in.param_f32(0),
              .max_bias = in.param_f32(1),
              .softcap = in.param_f32(2),
              .mask = {},
              .sinks = {},
              .v = in.floats(2),
              .mask_ne = {1, 1, 1, 1},
              .v_ne = v.ne,
              .sums_in_f16 = sums_in_f16};
  if (in.has(3)) {
    a.mask = in.floats(3);
    a.mask_ne = in.source(3).ne;
    require_shape(
        a.mask_ne[0] == a.n_kv && a.mask_ne[1] >= a.n && a.mask_ne[2] > 0 && a.mask_ne[3] > 0,
        "the mask does not cover the scores");
  }
  if (in.has(4)) {
    a.sinks = in.floats(4);
    require_shape(static_cast<int64_t>(a.sinks.size()) >= a.n_heads, "fewer sinks than heads");
  }
  const std::span<const float> queries = in.floats(0);
  const std::vector<float> norms = in.row_norms(1);
  out.resize(y.n_elements());
  Scores scores;
  scores.values.resize(static_cast<size_t>(a.n * a.n_kv));
  scores.sigma.resize(scores.values.size());
  for (int64_t item = 0; item < a.n_batches * a.n_heads; ++item) {
    const int64_t batch = item / a.n_heads, head = item % a.n_heads;
    const int64_t slice = batch / (q.ne[3] / k.ne[3]) * k.ne[2] + head / (q.ne[2] / k.ne[2]);
    WeightView of_head = keys;
    of_head.n_rows = a.n_kv;
    of_head.data += slice * a.n_kv * keys.row_bytes;
    multiply({.w = of_head,
              .w_norms = std::span(norms).subspan(static_cast<size_t>(slice * a.n_kv)),
              .x = queries.data() + item * a.n * a.dk,
              .x_stride = a.dk,
              .n_tokens = a.n,
              .y = scores.values.data(),
              .sigma = scores.sigma.data(),
              .y_stride = a.n_kv,
              .in_double = true},
             variant, in.pool());
    in.pool().run(a.n, [&](int64_t token, int) { attend(a, scores, batch, head, token, out); });
  }
  return true;
}

}  // namespace crossval
