// The gated delta net: queries, keys and values through a short convolution, the state of each head
// a token on, its norm and gate, the way back. Token by token, as ggml's operation computes prompts
// too: ggml-cpu/ops.cpp `ggml_compute_forward_gated_delta_net_one_chunk`. The rest and the names of
// taps: llama.cpp src/models/qwen3next.cpp, qwen35.cpp.
#include <algorithm>
#include <cmath>

#include "native/activation.h"
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

constexpr int kRowsPerItem = 32;  // of the state: bounds what a thread goes over for every token

void linear(ForwardPass& pass, const char* name, Role role, const Rows& in, Rows& out) {
  pass.linear(name, pass.layer_weights()[role], in, out);
}

// What the convolution gets, and the gate z. In one matrix they are dealt out by head of keys: its
// query, its key, the values that share it, their gates.
void project_inputs(ForwardPass& pass, const Rows& in) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  if (!pass.layer_weights()[Role::ssm_in]) {
    linear(pass, nullptr, Role::attn_qkv, in, s.conv_in);
    linear(pass, "z", Role::attn_gate, in, s.z);
    return;
  }
  pass.resize(s.in, config.n_channels + config.n_inner);
  linear(pass, "linear_attn_mixed_qkvz", Role::ssm_in, in, s.in);
  const int key = config.n_state, values = config.n_inner / config.n_groups;
  const int n_keys = config.n_groups * key;
  pass.each_token([&](int64_t token) {
    const float* from = s.in.row(token);
    float* to = s.conv_in.row(token);
    for (int group = 0; group < config.n_groups; ++group) {
      std::copy_n(from, key, to + group * key);
      std::copy_n(from + key, key, to + n_keys + group * key);
      std::copy_n(from + 2 * key, values, to + 2 * n_keys + group * values);
      std::copy_n(from + 2 * key + values, values, s.z.row(token) + group * values);
      from += 2 * (key + values);
    }
  });
}

// Of every head of values beta, into s.b, and g, into s.dt.
void make_parameters(ForwardPass& pass, const GatedDeltaNet& net, const Rows& in) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const WeightsByRole& weights = pass.layer_weights();
  if (net.grouped) {
    pass.resize(s.parameters, 2 * config.n_heads);
    linear(pass, "linear_attn_mixed_ba", Role::ssm_beta_alpha, in, s.parameters);
    const int n = config.n_heads / config.n_groups;
    pass.each_token([&](int64_t token) {
      for (int group = 0; group < config.n_groups; ++group) {
        const float* from = s.parameters.row(token) + 2 * group * n;
        std::copy_n(from, n, s.b.row(token) + group * n);
        std::copy_n(from + n, n, s.dt.row(token) + group * n);
      }
    });
  } else {
    linear(pass, nullptr, Role::ssm_beta, in, s.b);
    linear(pass, nullptr, Role::ssm_alpha, in, s.dt);
  }
  const float* bias = weights[Role::ssm_dt].vector.data();
  pass.each_token([&](int64_t token) {
    float *beta = s.b.row(token), *g = s.dt.row(token);
    for (int head = 0; head < config.n_heads; ++head) {
      beta[head] = sigmoid(beta[head]);
      g[head] = softplus(g[head] + bias[head], pass.as_ggml());
    }
  });
  if (!net.grouped) pass.tap("beta_sigmoid", "SIGMOID", s.b);
  pass.tap("a_softplus", "SOFTPLUS", s.dt);
  const float* a = weights[Role::ssm_a].vector.data();
  pass.each_token([&](int64_t token) {
    for (int head = 0; head < config.n_heads; ++head) s.dt.row(token)[head] *= a[head];
  });
  pass.tap("gate", "MUL", s.dt);
}

// Queries and keys, behind one another in s.x, each of length 1: models.h `build_gdn_l2_norm`.
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

// Sums that the compiler may keep in vectors: their order is fixed.
constexpr int kLanes = 8;
float sum_of(const float* lanes, double rest) {
  for (int lane = 0; lane < kLanes; ++lane) rest += lanes[lane];
  return static_cast<float>(rest);
}

// row *= decay; gives row . k
float decay_and_read(int n, float decay, const float* k, float* row) {
  float lanes[kLanes] = {};
  double rest = 0;
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      row[i + lane] *= decay;
      lanes[lane] += row[i + lane] * k[i + lane];
    }
  }
  for (; i < n; ++i) {
    row[i] *= decay;
    rest += double{row[i]} * k[i];
  }
  return sum_of(lanes, rest);
}

// row += k * delta; gives row . q
float correct_and_read(int n, float delta, const float* k, const float* q, float* row) {
  float lanes[kLanes] = {};
  double rest = 0;
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) {
      row[i + lane] += k[i + lane] * delta;
      lanes[lane] += row[i + lane] * q[i + lane];
    }
  }
  for (; i < n; ++i) {
    row[i] += k[i] * delta;
    rest += double{row[i]} * q[i];
  }
  return sum_of(lanes, rest);
}

// Rows `first` to `end` of the state, each of which one value of a head corrects, over all tokens.
void run_rows(ForwardPass& pass, const GatedDeltaNet& net, int first, int end) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const int n = config.n_state, n_keys = config.n_groups * n;
  const int per_key = config.n_heads / config.n_groups;
  const float scale = 1.0f / std::sqrt(static_cast<float>(n));
  float* state = pass.recurrent_state.state(pass.layer);
  for (int64_t token = 0; token < pass.n_tokens; ++token) {
    const float* values = s.conv.row(token) + 2 * n_keys;
    float decay = 0;
    for (int row = first; row < end; ++row) {
      const int head = row / n;
      if (row == first || row % n == 0) decay = std::exp(s.dt.row(token)[head]);
      const int of_key = net.grouped ? head / per_key : head % config.n_groups;
      const float *q = s.x.row(token) + of_key * n, *k = q + n_keys;
      float* here = state + int64_t{row} * n;
      const float read = decay_and_read(n, decay, k, here);
      const float delta = (values[row] - read) * s.b.row(token)[head];
      s.y.row(token)[row] = correct_and_read(n, delta, k, q, here) * scale;
    }
  }
}

}  // namespace

void delta_net_block(ForwardPass& pass, const GatedDeltaNet& net, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const RecurrentConfig& config = pass.config.recurrent;
  RecurrentScratch& s = pass.recurrent;
  for (Rows* rows : {&s.conv_in, &s.conv}) pass.resize(*rows, config.n_channels);
  for (Rows* rows : {&s.z, &s.y}) pass.resize(*rows, config.n_inner);
  for (Rows* rows : {&s.b, &s.dt}) pass.resize(*rows, config.n_heads);
  pass.resize(s.x, config.n_channels - config.n_inner);
  project_inputs(pass, in);
  make_parameters(pass, net, in);
  pass.recurrent_state.convolve(pass.layer, weights[Role::ssm_conv1d], pass.n_tokens,
                                s.conv_in.data.data(), s.conv.data.data());
  pass.tap("conv_output_raw", "SSM_CONV", s.conv);
  pass.activate(Act::silu, nullptr, s.conv);
  pass.tap("conv_output_silu", "SILU", s.conv);
  norm_queries_and_keys(pass);
  pass.each((config.n_inner + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item) {
    const int first = static_cast<int>(item) * kRowsPerItem;
    run_rows(pass, net, first, std::min(first + kRowsPerItem, config.n_inner));
  });
  pass.norm(s.y, weights[Role::ssm_norm], NormKind::rms, config.n_state, pass.config.norm_eps, s.y);
  pass.activate(Act::silu, &s.y, s.z);
  linear(pass, "linear_attn_out", Role::ssm_out, s.z, pass.branch);
}

}  // namespace crossval
