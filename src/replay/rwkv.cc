// RWKV_WKV6 and GATED_LINEAR_ATTN (ggml-cpu/ops.cpp `ggml_compute_forward_rwkv_wkv6_f32`,
// `ggml_compute_forward_gla_f32`): per head a matrix that decays row by row and takes in k v^T.
// Sources: 0 k, 1 v, 2 r (q), each [n, heads, tokens]; wkv6: 3 first-token bonus [n, heads], 4
// decay, 5 state; gla: 3 decay, 4 state, parameter 0 scale. Result: the outputs of all tokens, then
// the states of all sequences.
//
// sigma: the elements of the state do not meet, so the variance of each follows its own decay, and
// takes in the roundings of one step: k v, the decayed state, their sum. An output adds the
// variances of what it sums and of its own partial sums.
#include <span>
#include <vector>

#include "replay/families.h"
#include "replay/recurrence.h"

namespace crossval {
namespace {

struct Heads {
  int64_t n, heads, tokens, sequences;
};

// `streams` have one vector per head and token.
Heads heads_of(const Inputs& in, std::initializer_list<size_t> streams, size_t state) {
  const TapTensor &k = in.source(0), &s = in.source(state), &y = in.out();
  const Heads h = {.n = k.ne[0], .heads = k.ne[1], .tokens = k.ne[2], .sequences = s.ne[1]};
  require_shape(h.n > 0 && h.heads > 0 && h.tokens > 0 && k.ne[3] == 1 && h.sequences > 0 &&
                    h.tokens % h.sequences == 0,
                "tokens do not fit sequences");
  for (const size_t i : streams) {
    require_shape(in.source(i).ne == k.ne, "the sources do not fit each other");
  }
  const int64_t width = product_of({h.n, h.heads});
  require_shape(s.n_elements() == product_of({h.n, width, h.sequences}),
                "the state does not fit the heads");
  const int64_t n_state_rows = product_of({h.n, h.sequences});
  require_shape(
      y.ne[0] == width && y.ne[1] - n_state_rows == h.tokens && y.ne[2] == 1 && y.ne[3] == 1,
      "the result has another shape than its sources give");
  return h;
}

// What row i of the state meets at one token.
struct Row {
  double gain, gain_variance;  // of r or q
  double bonus;                // wkv6: of k v, added to the state before it decays
};

struct Streams {
  std::span<const float> k, v, decays;
};

template <bool kHasBonus, typename RowOf>
void run_heads(Inputs& in, const Heads& h, const Streams& streams, std::span<const float> before,
               const RowOf& row_of, Recomputed& out) {
  const auto n = static_cast<size_t>(h.n);
  const int64_t width = h.n * h.heads, n_tokens = h.tokens / h.sequences;
  out.resize(in.out().n_elements());
  in.pool().run(h.sequences * h.heads, [&](int64_t item, int) {
    const int64_t sequence = item / h.heads, head = item % h.heads;
    const int64_t first = item * h.n * h.n;
    std::vector<double> state(before.begin() + first, before.begin() + first + h.n * h.n);
    std::vector<double> variance(n * n, 0.0);
    for (int64_t t = sequence * n_tokens; t < (sequence + 1) * n_tokens; ++t) {
      const int64_t at = t * width + head * h.n;
      bool repeats = t > sequence * n_tokens;
      for (const std::span<const float> x : {streams.k, streams.v, streams.decays}) {
        repeats = repeats && are_alike(x.subspan(static_cast<size_t>(at), n),
                                       x.subspan(static_cast<size_t>(at - width), n));
      }
      std::vector<RoundedSum> sums(n);
      std::vector<double> carried(n, 0.0);
      for (size_t i = 0; i < n; ++i) {
        const Row row = row_of(static_cast<size_t>(at) + i, static_cast<size_t>(head) * n + i);
        const double key = streams.k[static_cast<size_t>(at) + i],
                     decay = streams.decays[static_cast<size_t>(at) + i];
        for (size_t j = 0; j < n; ++j) {
          double& s = state[i * n + j];
          double& var = variance[i * n + j];
          const double kv = key * streams.v[static_cast<size_t>(at) + j];
          const double next = s * decay + kv;
          const double next_variance = joined(
              squared(decay) * var, rounding(s * decay) + rounding(kv) + rounding(next), repeats);
          const double seen = kHasBonus ? kv * row.bonus + s : next;
          const double seen_variance = kHasBonus ? var + squared(row.bonus) * rounding(kv) +
                                                       rounding(kv * row.bonus) + rounding(seen)
                                                 : next_variance;
          sums[j].add(seen * row.gain);
          carried[j] += squared(row.gain) * seen_variance + squared(seen) * row.gain_variance;
          s = next;
          var = next_variance;
        }
      }
      for (size_t j = 0; j < n; ++j) {
        out.set(at + static_cast<int64_t>(j), sums[j].sum(),
                sigma_of(sums[j].variance() + carried[j]));
      }
    }
    for (size_t i = 0; i < n * n; ++i) {
      out.set(width * h.tokens + first + static_cast<int64_t>(i), state[i], sigma_of(variance[i]));
    }
  });
}

}  // namespace

bool replay_rwkv_wkv6(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const Heads h = heads_of(in, {1, 2, 4}, 5);
  require_shape(in.source(3).n_elements() == h.n * h.heads, "the bonus does not fit the heads");
  const std::span<const float> k = in.floats(0), r = in.floats(2), bonus = in.floats(3),
                               decay = in.floats(4);
  run_heads<true>(
      in, h, {k, in.floats(1), decay}, in.floats(5),
      [&](size_t at, size_t channel) {
        return Row{r[at], 0, bonus[channel]};
      },
      out);
  return true;
}

bool replay_gated_linear_attn(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const Heads h = heads_of(in, {1, 2, 3}, 4);
  const double scale = in.param_f32(0);
  const std::span<const float> k = in.floats(0), q = in.floats(2), decay = in.floats(3);
  run_heads<false>(
      in, h, {k, in.floats(1), decay}, in.floats(4),
      [&](size_t at, size_t) {
        const double gain = q[at] * scale;
        return Row{gain, rounding(gain), 0};
      },
      out);
  return true;
}

}  // namespace crossval
