// Mamba's block: a projection to inputs x and gates z, a short convolution, the scan, the way back.
// Source: llama.cpp src/models/mamba-base.cpp and plamo2.cpp, whose names the taps have; ggml's
// ggml-cpu/ops.cpp `ggml_compute_forward_ssm_scan_f32`.
#include <algorithm>
#include <cmath>

#include "native/activation.h"
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

using Form = SelectiveScan::Form;

constexpr int kRowsPerItem = 32;  // of the state: bounds what a thread goes over for every token

// Copies columns from..., as many as `out` is wide, of every row.
void take(ForwardPass& pass, const Rows& whole, int from, Rows& out) {
  pass.each_token(
      [&](int64_t token) { std::copy_n(whole.row(token) + from, out.width, out.row(token)); });
}

// x in front of z, or z in front of what the convolution gets; plamo2 deals them out by head.
void split_projection(ForwardPass& pass, Form form) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  if (form == Form::mamba1) {
    take(pass, s.in, 0, s.conv_in);
    take(pass, s.in, config.n_inner, s.z);
  } else if (form == Form::mamba2) {
    take(pass, s.in, 0, s.z);
    take(pass, s.in, config.n_inner, s.conv_in);
    take(pass, s.in, config.n_inner + config.n_channels, s.dt);
  } else {
    const int dim = config.n_inner / config.n_heads;
    pass.each_token([&](int64_t token) {
      for (int head = 0; head < config.n_heads; ++head) {
        const float* from = s.in.row(token) + 2 * head * dim;
        std::copy_n(from, dim, s.z.row(token) + head * dim);
        std::copy_n(from + dim, dim, s.conv_in.row(token) + head * dim);
      }
    });
  }
}

// B, C and time steps (before softplus) of every token.
void make_parameters(ForwardPass& pass, const SelectiveScan& scan) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const WeightsByRole& weights = pass.layer_weights();
  if (scan.form == Form::mamba2) {
    take(pass, s.conv, config.n_inner, s.b);
    take(pass, s.conv, config.n_inner + s.b.width, s.c);
    pass.each_token([&](int64_t token) {
      add_row(weights[Role::ssm_dt].vector.data(), s.dt.width, s.dt.row(token));
    });
    return;
  }
  pass.resize(s.parameters, config.n_dt + 2 * config.n_state);
  pass.resize(s.dt_low, config.n_dt);
  const bool is_plamo2 = scan.form == Form::plamo2;
  const char* name = is_plamo2 ? "mamba_bcdt_proj" : nullptr;
  pass.linear(name, weights[Role::ssm_x], s.x, s.parameters);
  const int of_b = is_plamo2 ? 0 : config.n_dt;
  take(pass, s.parameters, is_plamo2 ? 2 * config.n_state : 0, s.dt_low);
  take(pass, s.parameters, of_b, s.b);
  take(pass, s.parameters, of_b + config.n_state, s.c);
  if (scan.dt_b_c_norms || config.plain_norms) {
    pass.norm(s.dt_low, weights[Role::ssm_dt_norm], s.dt_low);
    pass.norm(s.b, weights[Role::ssm_b_norm], s.b);
    pass.norm(s.c, weights[Role::ssm_c_norm], s.c);
  }
  const char* dt_name = is_plamo2 ? "mamba_dt_proj" : nullptr;
  pass.linear(dt_name, weights[Role::ssm_dt], s.dt_low, s.dt);
}

// One row of the state, a step on: state = decay * state + b * x; gives state . c. Lanes, so that
// the compiler may use vectors: the order of the sum is fixed.
float step(int n, const float* decay, float x, const float* b, const float* c, float* state) {
  constexpr int kLanes = 8;
  float lanes[kLanes] = {};
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      const int at = i + lane;
      state[at] = state[at] * decay[at] + b[at] * x;
      lanes[lane] += state[at] * c[at];
    }
  }
  double sum = 0;
  for (const float lane : lanes) sum += lane;
  for (; i < n; ++i) {
    state[i] = state[i] * decay[i] + b[i] * x;
    sum += double{state[i]} * c[i];
  }
  return static_cast<float>(sum);
}

// Rows `first` to `end` of the state over all tokens.
void scan_rows(ForwardPass& pass, Form form, int first, int end) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const int n = config.n_state, dim = config.n_inner / config.n_heads;
  const int heads_per_group = config.n_heads / config.n_groups;
  const float* a = pass.layer_weights()[Role::ssm_a].vector.data();
  float* state = pass.recurrent_state.state(pass.layer);
  std::vector<float> decay(static_cast<size_t>(n));
  for (int64_t token = 0; token < pass.n_tokens; ++token) {
    for (int row = first; row < end; ++row) {
      const int head = row / dim;
      const float dt = s.dt.row(token)[head];
      if (form == Form::mamba1) {
        for (int i = 0; i < n; ++i) decay[static_cast<size_t>(i)] = dt * a[int64_t{head} * n + i];
        exp_row(decay.data(), n);
      } else if (row == first || row % dim == 0) {
        std::ranges::fill(decay, std::exp(dt * a[head]));
      }
      const int64_t of_group = int64_t{head / heads_per_group} * n;
      s.y.row(token)[row] =
          step(n, decay.data(), s.x.row(token)[row] * dt, s.b.row(token) + of_group,
               s.c.row(token) + of_group, state + int64_t{row} * n);
    }
  }
}

void run_scan(ForwardPass& pass, Form form) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  pass.each_token([&](int64_t token) {
    for (int i = 0; i < s.dt.width; ++i) {
      s.dt.row(token)[i] = softplus(s.dt.row(token)[i], pass.as_ggml());
    }
  });
  pass.each((config.n_inner + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item) {
    const int first = static_cast<int>(item) * kRowsPerItem;
    scan_rows(pass, form, first, std::min(first + kRowsPerItem, config.n_inner));
  });
  const float* d = pass.layer_weights()[Role::ssm_d].vector.data();
  const int dim = config.n_inner / config.n_heads;
  pass.each_token([&](int64_t token) {
    const float* x = s.x.row(token);
    for (int i = 0; i < s.y.width; ++i) s.y.row(token)[i] += x[i] * d[i / dim];
  });
}

}  // namespace

void scan_block(ForwardPass& pass, const SelectiveScan& scan, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const RecurrentConfig& config = pass.config.recurrent;
  RecurrentScratch& s = pass.recurrent;
  pass.resize(
      s.in, config.n_inner + config.n_channels + (scan.form == Form::mamba2 ? config.n_heads : 0));
  for (Rows* rows : {&s.z, &s.x, &s.y}) pass.resize(*rows, config.n_inner);
  for (Rows* rows : {&s.conv_in, &s.conv}) pass.resize(*rows, config.n_channels);
  for (Rows* rows : {&s.b, &s.c}) pass.resize(*rows, config.n_groups * config.n_state);
  pass.resize(s.dt, config.n_heads);
  const bool is_plamo2 = scan.form == Form::plamo2;
  const char* in_name = is_plamo2 ? "mamba_in_proj" : nullptr;
  pass.linear(in_name, weights[Role::ssm_in], in, s.in);
  split_projection(pass, scan.form);
  pass.recurrent_state.convolve(pass.layer, weights[Role::ssm_conv1d], pass.n_tokens,
                                s.conv_in.data.data(), s.conv.data.data());
  if (is_plamo2) pass.tap("mamba_conv1d", "SSM_CONV", s.conv);
  pass.activate(Act::silu, nullptr, s.conv);
  if (is_plamo2) pass.tap("mamba_conv1d_silu", "UNARY", s.conv);
  take(pass, s.conv, 0, s.x);
  make_parameters(pass, scan);
  run_scan(pass, scan.form);
  if (scan.form != Form::mamba1)
    pass.tap(is_plamo2 ? "mamba_y_add_d" : "mamba2_y_add_d", "ADD", s.y);
  pass.activate(Act::silu, &s.y, s.z);
  if (const Weight& norm = weights[Role::ssm_norm]) {
    const int n = config.n_inner / config.n_groups;
    pass.norm(s.z, norm, NormKind::rms, n, pass.config.norm_eps, s.z);
  }
  pass.linear(scan.out_tap, weights[Role::ssm_out], s.z, pass.branch);
}

}  // namespace crossval
