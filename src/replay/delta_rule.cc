// GATED_DELTA_NET and RWKV_WKV7 (ggml-cpu/ops.cpp
// `ggml_compute_forward_gated_delta_net_one_chunk`, `ggml_compute_forward_rwkv_wkv7_f32`): per head
// a matrix M, whose rows m do not meet. Per token m' = w m + b (a . m) + what is new, and an output
// q . m'. Delta net: first m is scaled by e^gate, then a = -beta k, b = k. Result: outputs, then
// states.
//
// sigma: of m's elements, each with a variance D. One step is linear:
//   D'_i = (w_i + a_i b_i)^2 D_i + b_i^2 (sum over l != i of a_l^2 D_l) + b_i^2 own + r_i
// own = of the rounded sum a . m, which the whole row shares; r = roundings of this element. The
// first term matters: without the part that the delta rule takes away, bounds would grow without
// end. An output q . m' takes its part of D, own and r through q, and the roundings of its sum. The
// error of e^gate may be the same at every token: it is followed by itself (`drift`).
#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "replay/families.h"
#include "replay/recurrence.h"

namespace crossval {
namespace {

double dot(std::span<const double> x, std::span<const double> y) {
  double sum = 0;
  for (size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
  return sum;
}

RoundedSum rounded_dot(std::span<const double> x, std::span<const double> y) {
  RoundedSum sum;
  for (size_t i = 0; i < x.size(); ++i) sum.add(x[i] * y[i]);
  return sum;
}

// The variances of one row.
class RowErrors {
 public:
  explicit RowErrors(size_t n) : variance_(n, 0.0), rounded_(n), carried_(n) {}

  std::span<double> variance() { return variance_; }
  std::span<double> rounded() { return rounded_; }  // r of the next step

  // The step above. w empty: all are 1. Returns the variance of q . m' before its own sum.
  double step(std::span<const double> w, std::span<const double> a, std::span<const double> b,
              double own, std::span<const double> q, bool repeats) {
    const size_t n = variance_.size();
    double all_read = 0;
    for (size_t i = 0; i < n; ++i) all_read += squared(a[i]) * variance_[i];
    const double qb = dot(q, b);
    double output = squared(qb) * own;
    for (size_t i = 0; i < n; ++i) {
      const double decay = w.empty() ? 1 : w[i];
      output += squared(q[i] * decay + qb * a[i]) * variance_[i] + squared(q[i]) * rounded_[i];
      const double of_others = std::max(0.0, all_read - squared(a[i]) * variance_[i]);
      carried_[i] = joined(squared(decay + a[i] * b[i]) * variance_[i] + squared(b[i]) * of_others,
                           squared(b[i]) * own + rounded_[i], repeats);
    }
    variance_.swap(carried_);
    return output;
  }

 private:
  std::vector<double> variance_, rounded_, carried_;
};

std::vector<double> widened(std::span<const float> values, int64_t at, int64_t n) {
  const auto from = values.begin() + at;
  return {from, from + n};
}

struct Net {
  int64_t n, heads, tokens, sequences, slots;
  std::span<const float> q, k, v, gate, beta, state;
};

// Of one head: rows of all tokens, from `at` on, `stride` apart.
struct Stream {
  std::span<const float> values;
  int64_t at, stride, n;
  std::vector<double> of(int64_t token) const { return widened(values, at + token * stride, n); }
};

// The stream of sequence s and head h; fewer heads and sequences repeat as ggml lets them.
Stream stream_of(const TapTensor& x, std::span<const float> values, const Net& net, int64_t s,
                 int64_t h) {
  const int64_t sequence = s / (net.sequences / x.ne[3]), head = h % x.ne[1];
  return {values, (sequence * net.tokens * x.ne[1] + head) * x.ne[0], x.ne[1] * x.ne[0], x.ne[0]};
}

struct DeltaStep {
  std::vector<double> q, k, read, decay;  // read = -beta k; decay: one, or one per element
  double beta;
  bool repeats;  // the token before
};

void run_delta_row(const Net& net, std::span<const DeltaStep> steps, std::span<const double> v,
                   std::span<double> m, const auto& set_output, const auto& set_state) {
  const auto n = static_cast<size_t>(net.n);
  const double scale = 1.0f / std::sqrt(static_cast<float>(net.n));
  RowErrors errors(n);
  std::vector<double> drift(n, 0.0);
  for (size_t t = 0; t < steps.size(); ++t) {
    const DeltaStep& step = steps[t];
    for (size_t i = 0; i < n; ++i) {
      const double decay = step.decay[step.decay.size() == 1 ? 0 : i];
      drift[i] = decay * (drift[i] + m[i]);
      m[i] *= decay;
      // The product's rounding and the error of e^gate, a unit too.
      errors.variance()[i] =
          joined(squared(decay) * errors.variance()[i], 2 * rounding(m[i]), step.repeats);
    }
    const RoundedSum read = rounded_dot(m, step.k);
    const double missing = v[t] - read.sum(), delta = missing * step.beta;
    const double own = squared(step.beta) * (read.variance() + rounding(missing)) + rounding(delta);
    const double drift_read = dot(drift, step.read);
    for (size_t i = 0; i < n; ++i) {
      const double change = step.k[i] * delta;
      m[i] += change;
      drift[i] += step.k[i] * drift_read;
      errors.rounded()[i] = rounding(change) + rounding(m[i]);
    }
    const double carried = errors.step({}, step.read, step.k, own, step.q, step.repeats);
    const RoundedSum y = rounded_dot(m, step.q);
    set_output(
        t, y.sum() * scale,
        sigma_of(squared(scale) * (carried + y.variance() + squared(kUnit32 * dot(drift, step.q))) +
                 rounding(y.sum() * scale)));
    const size_t slot = steps.size() - 1 - t;
    if (slot >= static_cast<size_t>(net.slots)) continue;
    for (size_t i = 0; i < n; ++i) {
      set_state(slot, i, m[i], sigma_of(errors.variance()[i] + squared(kUnit32 * drift[i])));
    }
  }
}

}  // namespace

// Sources: 0 q, 1 k, 2 v [n, heads, tokens, sequences], 3 gate [1 or n, ...], 4 beta [1, ...],
// 5 state [n, n, heads, sequences], transposed: a row meets k. Parameter 0: how many of the last
// states are kept, the newest first (0 in engines that keep one). Slots of tokens that there are
// not stay as they were, which nobody captured: they count as right.
bool replay_gated_delta_net(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &q = in.source(0), &k = in.source(1), &v = in.source(2), &gate = in.source(3),
                  &beta = in.source(4), &y = in.out();
  Net net = {.n = v.ne[0],
             .heads = v.ne[1],
             .tokens = v.ne[2],
             .sequences = v.ne[3],
             .slots = std::max(1, in.param_i32(0)),
             .q = in.floats(0),
             .k = in.floats(1),
             .v = in.floats(2),
             .gate = in.floats(3),
             .beta = in.floats(4),
             .state = in.floats(5)};
  require_shape(net.n > 0 && net.heads > 0 && net.tokens > 0 && net.sequences > 0,
                "there is nothing to compute");
  for (const TapTensor* x : {&q, &k}) {
    require_shape(x->ne[0] == net.n && x->ne[1] > 0 && x->ne[2] == net.tokens && x->ne[3] > 0 &&
                      net.sequences % x->ne[3] == 0,
                  "queries or keys do not fit the values");
  }
  for (const TapTensor* x : {&gate, &beta}) {
    require_shape((x->ne[0] == 1 || (x == &gate && x->ne[0] == net.n)) && x->ne[1] == net.heads &&
                      x->ne[2] == net.tokens && x->ne[3] == net.sequences,
                  "gates do not fit the values");
  }
  const int64_t width = product_of({net.n, net.heads});
  const int64_t n_state = product_of({net.n, width, net.sequences});
  require_shape(static_cast<int64_t>(net.state.size()) == n_state,
                "the state does not fit the heads");
  const int64_t n_outputs = product_of({width, net.tokens, net.sequences});
  const int64_t n_states = product_of({n_state, net.slots});
  require_shape(y.ne[0] == width && y.n_elements() - n_states == n_outputs,
                "the result has another shape than its sources give");
  out.resize(y.n_elements());
  if (net.slots > net.tokens) {
    const TapValues of_y(y);
    std::copy(of_y.get().begin(), of_y.get().end(), out.expected.begin());
  }
  in.pool().run(net.sequences * net.heads, [&](int64_t item, int) {
    const int64_t s = item / net.heads, h = item % net.heads;
    const Stream of_q = stream_of(q, net.q, net, s, h), of_k = stream_of(k, net.k, net, s, h),
                 of_v = stream_of(v, net.v, net, s, h),
                 of_gate = stream_of(gate, net.gate, net, s, h),
                 of_beta = stream_of(beta, net.beta, net, s, h);
    std::vector<DeltaStep> steps;
    std::vector<std::vector<double>> values;
    for (int64_t t = 0; t < net.tokens; ++t) {
      DeltaStep step = {.q = of_q.of(t),
                        .k = of_k.of(t),
                        .read = {},
                        .decay = of_gate.of(t),
                        .beta = of_beta.of(t)[0],
                        .repeats = false};
      for (const double one : step.k) step.read.push_back(-step.beta * one);
      for (double& one : step.decay) one = std::exp(one);
      values.push_back(of_v.of(t));
      if (!steps.empty()) {
        const DeltaStep& before = steps.back();
        step.repeats = are_alike(step.k, before.k) && are_alike(step.decay, before.decay) &&
                       are_alike(step.read, before.read) &&
                       are_alike(values.back(), values[values.size() - 2]);
      }
      steps.push_back(std::move(step));
    }
    for (int64_t j = 0; j < net.n; ++j) {
      std::vector<double> row = widened(net.state, (item * net.n + j) * net.n, net.n);
      std::vector<double> of_row;
      of_row.reserve(values.size());
      for (const std::vector<double>& one : values) of_row.push_back(one[static_cast<size_t>(j)]);
      run_delta_row(
          net, steps, of_row, row,
          [&](size_t t, double value, double sigma) {
            out.set(((s * net.tokens + static_cast<int64_t>(t)) * net.heads + h) * net.n + j, value,
                    sigma);
          },
          [&](size_t slot, size_t i, double value, double sigma) {
            out.set(n_outputs + static_cast<int64_t>(slot) * n_state + (item * net.n + j) * net.n +
                        static_cast<int64_t>(i),
                    value, sigma);
          });
    }
  });
  return true;
}

// Sources: 0 r, 1 w, 2 k, 3 v, 4 a, 5 b, each [n, heads, tokens], 6 state [n * n * heads,
// sequences]. Row i takes in v_i k.
bool replay_rwkv_wkv7(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &r = in.source(0), &s = in.source(6), &y = in.out();
  const int64_t n = r.ne[0], heads = r.ne[1], tokens = r.ne[2], sequences = s.ne[1];
  require_shape(
      n > 0 && heads > 0 && tokens > 0 && r.ne[3] == 1 && sequences > 0 && tokens % sequences == 0,
      "tokens do not fit sequences");
  std::vector<std::span<const float>> streams;
  for (size_t i = 0; i < 6; ++i) {
    require_shape(in.source(i).ne == r.ne, "the sources do not fit each other");
    streams.push_back(in.floats(i));
  }
  const int64_t width = product_of({n, heads}), n_tokens = tokens / sequences;
  require_shape(s.n_elements() == product_of({n, width, sequences}) && y.ne[0] == width &&
                    y.ne[1] - product_of({n, sequences}) == tokens && y.ne[2] == 1 && y.ne[3] == 1,
                "state or result do not fit the heads");
  const std::span<const float> before = in.floats(6);
  out.resize(y.n_elements());
  in.pool().run(sequences * heads, [&](int64_t item, int) {
    const int64_t first = item / heads * n_tokens * width + item % heads * n;
    std::vector<std::array<std::vector<double>, 6>> steps(static_cast<size_t>(n_tokens));
    for (int64_t t = 0; t < n_tokens; ++t) {
      for (size_t i = 0; i < 6; ++i) {
        steps[static_cast<size_t>(t)][i] = widened(streams[i], first + t * width, n);
      }
    }
    std::vector<bool> repeat(steps.size(), false);
    for (size_t t = 1; t < steps.size(); ++t) {
      repeat[t] = true;
      for (size_t i = 1; i < 6; ++i) {  // all but r
        repeat[t] = repeat[t] && are_alike(steps[t][i], steps[t - 1][i]);
      }
    }
    for (int64_t row = 0; row < n; ++row) {
      const int64_t of_row = (item * n + row) * n;
      std::vector<double> m = widened(before, of_row, n);
      RowErrors errors(m.size());
      for (int64_t t = 0; t < n_tokens; ++t) {
        const auto& [q, w, k, v, a, b] = steps[static_cast<size_t>(t)];
        const bool repeats = repeat[static_cast<size_t>(t)];
        const RoundedSum read = rounded_dot(m, a);
        for (size_t j = 0; j < m.size(); ++j) {
          const double kv = v[static_cast<size_t>(row)] * k[j], decayed = m[j] * w[j],
                       removed = read.sum() * b[j];
          m[j] = decayed + kv + removed;
          errors.rounded()[j] = rounding(kv) + rounding(decayed) + rounding(decayed + kv) +
                                rounding(removed) + rounding(m[j]);
        }
        const double carried = errors.step(w, a, b, read.variance(), q, repeats);
        const RoundedSum result = rounded_dot(m, q);
        out.set(first + t * width + row, result.sum(), sigma_of(carried + result.variance()));
      }
      for (int64_t j = 0; j < n; ++j) {
        const auto i = static_cast<size_t>(j);
        out.set(width * tokens + of_row + j, m[i], sigma_of(errors.variance()[i]));
      }
    }
  });
  return true;
}

}  // namespace crossval
