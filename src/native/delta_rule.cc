#include "native/delta_rule.h"

#include <algorithm>
#include <cmath>

#include "native/vector_math.h"

namespace crossval {
namespace {

constexpr int kRowsPerItem = 32;  // of the state: bounds what a thread goes over for every token

// The sum of step(i) for i < n, in lanes that the compiler may keep in vectors: their order is
// fixed.
template <typename Step>
float sum_over(int n, Step step) {
  constexpr int n_lanes = 8;
  float lanes[n_lanes] = {};
  double sum = 0;
  int i = 0;
  for (; i + n_lanes <= n; i += n_lanes) {
    for (int lane = 0; lane < n_lanes; ++lane) lanes[lane] += step(i + lane);
  }
  for (; i < n; ++i) sum += static_cast<double>(step(i));
  for (const float lane : lanes) sum += static_cast<double>(lane);
  return static_cast<float>(sum);
}

// One row of the state over one token; gives what the query reads.
template <typename Decay>
float step_row(int n, Decay decay, const float* q, const float* k, float value, float beta,
               float* row) {
  const float read = sum_over(n, [&](int i) {
    row[i] *= decay(i);
    return row[i] * k[i];
  });
  const float delta = (value - read) * beta;
  return sum_over(n, [&](int i) {
    row[i] += k[i] * delta;
    return row[i] * q[i];
  });
}

// Rows `first` to `end` of the state, each of which one value of a head corrects, over all tokens.
void run_rows(ForwardPass& pass, bool keys_in_runs, int first, int end) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const int n = config.n_state, n_keys = config.n_groups * n;
  const int per_key = config.n_heads / config.n_groups;
  const bool one_decay = s.dt.width == config.n_heads;
  const float scale = 1.0f / std::sqrt(static_cast<float>(n));
  float* state = pass.recurrent_state.state(pass.layer);
  for (int64_t token = 0; token < pass.n_tokens; ++token) {
    const float* values = s.conv.row(token) + 2 * n_keys;
    const float *decays = s.dt.row(token), *beta = s.b.row(token);
    for (int row = first; row < end; ++row) {
      const int head = row / n;
      const int of_key = keys_in_runs ? head / per_key : head % config.n_groups;
      const float *q = s.x.row(token) + of_key * n, *k = q + n_keys;
      const auto step = [&](auto decay) {
        return step_row(n, decay, q, k, values[row], beta[head], state + int64_t{row} * n);
      };
      s.y.row(token)[row] =
          scale * (one_decay ? step([decay = decays[head]](int) { return decay; })
                             : step([of_head = decays + head * n](int i) { return of_head[i]; }));
    }
  }
}

}  // namespace

void norm_queries_and_keys(ForwardPass& pass) {
  RecurrentScratch& s = pass.recurrent;
  const int n = pass.config.recurrent.n_state;
  const VectorWeight factors(static_cast<size_t>(n), 1.0f / std::sqrt(static_cast<float>(n)));
  const float eps = pass.config.norm_eps / static_cast<float>(n);
  pass.each_token([&](int64_t token) {
    for (int at = 0; at < s.x.width; at += n) {
      rms_norm_row(s.conv.row(token) + at, factors.data(), n, eps, s.x.row(token) + at);
    }
  });
}

void run_delta_rule(ForwardPass& pass, bool keys_in_runs) {
  Rows& fade = pass.recurrent.dt;
  pass.each_token([&](int64_t token) {
    for (int i = 0; i < fade.width; ++i) fade.row(token)[i] = std::exp(fade.row(token)[i]);
  });
  const int n_rows = pass.config.recurrent.n_inner;
  pass.each((n_rows + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item) {
    const int first = static_cast<int>(item) * kRowsPerItem;
    run_rows(pass, keys_in_runs, first, std::min(first + kRowsPerItem, n_rows));
  });
}

}  // namespace crossval
