// The gated delta net: queries, keys and values through a short convolution, the delta rule with a
// g for each head, its norm and gate, the way back. Source, and of the names of taps: llama.cpp
// src/models/qwen3next.cpp, qwen35.cpp.
#include <algorithm>

#include "native/activation.h"
#include "native/delta_rule.h"
#include "native/forward.h"

namespace crossval {
namespace {

// What the convolution gets, and the gate z. In one matrix they are dealt out by head of keys: its
// query, its key, the values that share it, their gates.
void project_inputs(ForwardPass& pass, const Rows& in) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const WeightsByRole& weights = pass.layer_weights();
  if (!weights[Role::ssm_in]) {
    pass.linear(nullptr, weights[Role::attn_qkv], in, s.conv_in);
    pass.linear("z", weights[Role::attn_gate], in, s.z);
    return;
  }
  pass.resize(s.in, config.n_channels + config.n_inner);
  pass.linear("linear_attn_mixed_qkvz", weights[Role::ssm_in], in, s.in);
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
    pass.linear("linear_attn_mixed_ba", weights[Role::ssm_beta_alpha], in, s.parameters);
    const int n = config.n_heads / config.n_groups;
    pass.each_token([&](int64_t token) {
      for (int group = 0; group < config.n_groups; ++group) {
        const float* from = s.parameters.row(token) + 2 * group * n;
        std::copy_n(from, n, s.b.row(token) + group * n);
        std::copy_n(from + n, n, s.dt.row(token) + group * n);
      }
    });
  } else {
    pass.linear(nullptr, weights[Role::ssm_beta], in, s.b);
    pass.linear(nullptr, weights[Role::ssm_alpha], in, s.dt);
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
  run_delta_rule(pass, net.grouped);
  pass.norm(s.y, weights[Role::ssm_norm], NormKind::rms, config.n_state, pass.config.norm_eps, s.y);
  if (net.sigmoid_gate) {
    pass.gate_by(s.z, s.y);
  } else {
    pass.activate(Act::silu, &s.y, s.z);
  }
  pass.linear("linear_attn_out", weights[Role::ssm_out], net.sigmoid_gate ? s.y : s.z, pass.branch);
}

}  // namespace crossval
