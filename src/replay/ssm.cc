// SSM_CONV and SSM_SCAN (ggml-cpu/ops.cpp `ggml_compute_forward_ssm_conv_f32`, `_ssm_scan_f32`): a
// short convolution along the tokens, and the recurrence of Mamba, state' = e^(dt A) state + dt x
// B, y = state' . C.
#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <vector>

#include "replay/families.h"
#include "replay/recurrence.h"

namespace crossval {
namespace {

// softplus(dt) and how far the engine's may be from it. In f32 1 + e^dt loses what is below a unit
// of 1, so the sum is repeated; where the last bit of expf may move it by a step, that step counts.
struct TimeStep {
  double value, error;
};

enum class Softplus { log_of_sum, log1p };

TimeStep time_step(float x, Softplus form) {
  if (x > 20) return {x, 0};
  const double e = std::exp(double{x});
  if (form == Softplus::log1p) {
    // Contracts the error of expf, at least by as much as the value itself.
    return {std::log1p(e), 2 * kUnit32 * std::log1p(e)};
  }
  const auto log_of_sum = [](double exponential) {
    return std::log(double{1.0f + static_cast<float>(exponential)});
  };
  const double y = log_of_sum(e);
  const double step = log_of_sum(e * (1 + 1.5 * kUnit32)) - log_of_sum(e * (1 - 1.5 * kUnit32));
  return {y, kUnit32 * y + step / 2};
}

struct Scan {
  int64_t n, dim, heads, groups, tokens, sequences, cells, slots;
  bool has_one_decay;  // per head (Mamba 2), else per element
  std::span<const float> state, x, dt, a, b, c;
  std::vector<int64_t> ids;  // of the cell a sequence starts from
};

// Sources: 0 states [n, dim, heads, cells], 1 x [dim, heads, tokens, sequences], 2 dt [heads,
// tokens, sequences], 3 A [n or 1, heads], 4 B and 5 C [n, groups, tokens, sequences], 6 cells
// [sequences]; parameter 0: as of GATED_DELTA_NET. Engines of 2024 have no cells and one head per
// channel: states [n, heads, sequences], x [heads, tokens, sequences], B and C [n, tokens,
// sequences].
Scan scan_of(Inputs& in) {
  std::array<std::array<int64_t, 4>, 6> ne;
  for (size_t i = 0; i < 6; ++i) ne[i] = in.source(i).ne;
  if (!in.has(6)) {
    ne[0] = {ne[0][0], 1, ne[0][1], ne[0][2]};
    ne[1] = {1, ne[1][0], ne[1][1], ne[1][2]};
    for (const size_t i : {4, 5}) ne[i] = {ne[i][0], 1, ne[i][1], ne[i][2]};
  }
  const auto& [s, x, dt, a, b, c] = ne;
  Scan scan = {.n = s[0],
               .dim = s[1],
               .heads = s[2],
               .groups = b[1],
               .tokens = x[2],
               .sequences = x[3],
               .cells = s[3],
               .slots = std::max(1, in.param_i32(0)),
               .has_one_decay = a[0] == 1,
               .state = in.floats(0),
               .x = in.floats(1),
               .dt = in.floats(2),
               .a = in.floats(3),
               .b = in.floats(4),
               .c = in.floats(5),
               .ids = {}};
  require_shape(scan.n > 0 && scan.dim > 0 && scan.heads > 0 && scan.groups > 0 &&
                    scan.tokens > 0 && scan.sequences > 0 && scan.heads % scan.groups == 0,
                "there is nothing to compute");
  require_shape(x[0] == scan.dim && x[1] == scan.heads && dt[0] == scan.heads &&
                    dt[1] == scan.tokens && dt[2] == scan.sequences && dt[3] == 1,
                "inputs or time steps do not fit the state");
  require_shape((a[0] == scan.n || a[0] == 1) && a[1] == scan.heads && a[2] == 1 && a[3] == 1,
                "decays do not fit the state");
  require_shape(b == c && b[0] == scan.n && b[2] == scan.tokens && b[3] == scan.sequences,
                "B or C do not fit the state");
  if (in.has(6)) {
    scan.ids = in.indices(6);
  } else {
    for (int64_t i = 0; i < scan.sequences; ++i) scan.ids.push_back(i);
  }
  require_shape(static_cast<int64_t>(scan.ids.size()) == scan.sequences,
                "there is not one cell per sequence");
  for (const int64_t id : scan.ids) {
    require_shape(id >= 0 && id < scan.cells, "a sequence starts from no cell");
  }
  const int64_t n_states = product_of({scan.n, scan.dim, scan.heads, scan.sequences, scan.slots});
  require_shape(in.out().n_elements() - n_states == static_cast<int64_t>(scan.x.size()),
                "the result has another shape than its sources give");
  return scan;
}

// What a head meets at one token. Each with its error, which all elements of the state share.
struct HeadStep {
  TimeStep dt;
  std::vector<double> decay, decay_error;  // one, or one per element of the state
  bool repeats = false;                    // the token before
};

HeadStep head_step(const Scan& scan, int64_t h, float dt, Softplus form) {
  HeadStep step = {.dt = time_step(dt, form), .decay = {}, .decay_error = {}, .repeats = false};
  const int64_t n = scan.has_one_decay ? 1 : scan.n;
  for (int64_t i = 0; i < n; ++i) {
    const double a = scan.a[static_cast<size_t>(h * n + i)], z = a * step.dt.value;
    const double decay = std::exp(z);
    step.decay.push_back(decay);
    // The exponential passes on the absolute error of its argument, and has one of its own.
    step.decay_error.push_back(decay *
                               (std::fabs(a) * step.dt.error + std::sqrt(rounding(z)) + kUnit32));
  }
  return step;
}

// sigma: what dt, decays and dt x have in common over a whole row, and over tokens that are alike,
// adds up by its size (`shared`); roundings of each element by their squares (`variance`).
void scan_row(const Scan& scan, int64_t sequence, int64_t h, int64_t d,
              std::span<const HeadStep> steps, Recomputed& out) {
  const auto n = static_cast<size_t>(scan.n);
  const int64_t row = h * scan.dim + d, n_rows = scan.heads * scan.dim;
  const auto from =
      scan.state.begin() + (scan.ids[static_cast<size_t>(sequence)] * n_rows + row) * scan.n;
  std::vector<double> state(from, from + scan.n), shared(n, 0.0), variance(n, 0.0);
  const int64_t group = h / (scan.heads / scan.groups);
  for (int64_t t = 0; t < scan.tokens; ++t) {
    const HeadStep& step = steps[static_cast<size_t>(t)];
    const int64_t token = sequence * scan.tokens + t;
    const double x = scan.x[static_cast<size_t>(token * n_rows + row)], x_dt = x * step.dt.value;
    const double x_dt_error = std::fabs(x) * step.dt.error + std::sqrt(rounding(x_dt));
    const auto of_group = static_cast<size_t>((token * scan.groups + group) * scan.n);
    RoundedSum y;
    double y_shared = 0, y_variance = 0;
    for (size_t i = 0; i < n; ++i) {
      const size_t of_decay = scan.has_one_decay ? 0 : i;
      const double decay = step.decay[of_decay], b = scan.b[of_group + i], c = scan.c[of_group + i];
      const double kept = state[i] * decay, added = b * x_dt;
      shared[i] = decay * shared[i] + std::fabs(state[i]) * step.decay_error[of_decay] +
                  std::fabs(b) * x_dt_error;
      state[i] = kept + added;
      variance[i] = joined(squared(decay) * variance[i],
                           rounding(kept) + rounding(added) + rounding(state[i]), step.repeats);
      y.add(state[i] * c);
      y_shared += std::fabs(c) * shared[i];
      y_variance += squared(c) * variance[i];
    }
    out.set(token * n_rows + row, y.sum(), y_shared + sigma_of(y_variance + y.variance()));
    const int64_t slot = scan.tokens - 1 - t;
    if (slot >= scan.slots) continue;
    const int64_t to = static_cast<int64_t>(scan.x.size()) +
                       ((slot * scan.sequences + sequence) * n_rows + row) * scan.n;
    for (size_t i = 0; i < n; ++i) {
      out.set(to + static_cast<int64_t>(i), state[i], shared[i] + sigma_of(variance[i]));
    }
  }
}

}  // namespace

// Engines of 2024 call log1p.
bool replay_ssm_scan(Inputs& in, int variant, Recomputed& out) {
  if (variant > 1) return false;
  const auto form = variant == 0 ? Softplus::log_of_sum : Softplus::log1p;
  out.arithmetic = variant == 0 ? "f32" : "f32, log1p";
  const Scan scan = scan_of(in);
  out.resize(in.out().n_elements());
  if (scan.slots > scan.tokens) {  // as of GATED_DELTA_NET
    const TapValues of_y(in.out());
    std::copy(of_y.get().begin(), of_y.get().end(), out.expected.begin());
  }
  in.pool().run(scan.sequences * scan.heads, [&](int64_t item, int) {
    const int64_t sequence = item / scan.heads, h = item % scan.heads;
    std::vector<HeadStep> steps;
    for (int64_t t = 0; t < scan.tokens; ++t) {
      const int64_t at = (sequence * scan.tokens + t) * scan.heads + h;
      steps.push_back(head_step(scan, h, scan.dt[static_cast<size_t>(at)], form));
      if (t == 0) continue;
      const auto is_again = [&](std::span<const float> x, int64_t from, int64_t n,
                                int64_t per_token) {
        return are_alike(x.subspan(static_cast<size_t>(from), static_cast<size_t>(n)),
                         x.subspan(static_cast<size_t>(from - per_token), static_cast<size_t>(n)));
      };
      const int64_t group = h / (scan.heads / scan.groups), of_token = at / scan.heads;
      steps.back().repeats =
          is_again(scan.dt, at, 1, scan.heads) &&
          is_again(scan.x, at * scan.dim, scan.dim, scan.heads * scan.dim) &&
          is_again(scan.b, (of_token * scan.groups + group) * scan.n, scan.n, scan.groups * scan.n);
    }
    for (int64_t d = 0; d < scan.dim; ++d) scan_row(scan, sequence, h, d, steps, out);
  });
  return true;
}

// Sources: 0 [d_conv - 1 + tokens, inner, sequences], 1 [d_conv, inner].

bool replay_ssm_conv(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &x = in.source(0), &w = in.source(1), &y = in.out();
  const int64_t n_conv = w.ne[0], n_inner = x.ne[1], n_tokens = y.ne[1];
  require_shape(n_conv > 0 && w.ne[1] == n_inner && y.ne[0] == n_inner && y.ne[2] == x.ne[2] &&
                    y.ne[3] == 1 && x.ne[3] == 1 && x.ne[0] == n_conv - 1 + n_tokens,
                "window, weights and result do not fit each other");
  const std::span<const float> values = in.floats(0), weights = in.floats(1);
  out.resize(y.n_elements());
  in.pool().run(y.n_rows(), [&](int64_t r, int) {
    const int64_t token = r % n_tokens, sequence = r / n_tokens;
    for (int64_t i = 0; i < n_inner; ++i) {
      double sum = 0, magnitude = 0;
      for (int64_t k = 0; k < n_conv; ++k) {
        const double term =
            double{values[static_cast<size_t>((sequence * n_inner + i) * x.ne[0] + token + k)]} *
            weights[static_cast<size_t>(i * n_conv + k)];
        sum += term;
        magnitude += std::fabs(term);
      }
      out.set(r * n_inner + i, sum, kUnit32 * magnitude);
    }
  });
  return true;
}

}  // namespace crossval
