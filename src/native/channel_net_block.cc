// Kimi Delta Attention: queries, keys and values through short convolutions, the delta rule with a
// g for each element of a key, its norm and gate, the way back. Source, and of the names of taps:
// llama.cpp src/models/kimi-linear.cpp.
#include <algorithm>

#include "native/activation.h"
#include "native/delta_rule.h"
#include "native/forward.h"

namespace crossval {
namespace {

// Into s.conv: queries, keys and values behind one another, past their convolutions.
void project_inputs(ForwardPass& pass, const Rows& in) {
  RecurrentScratch& s = pass.recurrent;
  const WeightsByRole& weights = pass.layer_weights();
  const int n_inner = pass.config.recurrent.n_inner;
  if (weights[Role::attn_qkv]) {
    pass.linear(nullptr, weights[Role::attn_qkv], in, s.conv_in);
  } else {
    pass.resize(s.in, n_inner);
    int at = 0;
    for (const Role role : {Role::attn_q, Role::attn_k, Role::attn_v}) {
      pass.linear(nullptr, weights[role], in, s.in);
      pass.each_token(
          [&](int64_t token) { std::copy_n(s.in.row(token), n_inner, s.conv_in.row(token) + at); });
      at += n_inner;
    }
  }
  Weight kernel;
  for (const Role role : {Role::ssm_conv1d_q, Role::ssm_conv1d_k, Role::ssm_conv1d_v}) {
    const VectorWeight& part = weights[role].vector;
    kernel.vector.insert(kernel.vector.end(), part.begin(), part.end());
  }
  pass.recurrent_state.convolve(pass.layer, kernel, pass.n_tokens, s.conv_in.data.data(),
                                s.conv.data.data());
  pass.activate(Act::silu, nullptr, s.conv);
}

// A product, by way of a short row where `second` is not none.
void product_by_row(ForwardPass& pass, Role first, Role second, const Rows& in, Rows& out) {
  const WeightsByRole& weights = pass.layer_weights();
  if (second == Role::none) return pass.linear(nullptr, weights[first], in, out);
  RecurrentScratch& s = pass.recurrent;
  pass.resize(s.dt_low, pass.config.recurrent.n_state);
  pass.linear(nullptr, weights[first], in, s.dt_low);
  pass.linear(nullptr, weights[second], s.dt_low, out);
}

// g of every element of the keys into s.dt, beta of every head into s.b.
void make_parameters(ForwardPass& pass, const ChannelDeltaNet& net, const Rows& in) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const WeightsByRole& weights = pass.layer_weights();
  product_by_row(pass, Role::ssm_f_a, net.decay_row ? Role::ssm_f_b : Role::none, in, s.dt);
  pass.linear(nullptr, weights[Role::ssm_beta], in, s.b);
  const VectorWeight &bias = weights[Role::ssm_dt].vector, &a = weights[Role::ssm_a].vector;
  const float bound = config.decay_bound;
  const float sign = net.bound == ChannelDeltaNet::Bound::negated_key ? -1.0f : 1.0f;
  pass.each_token([&](int64_t token) {
    float* beta = s.b.row(token);
    for (int head = 0; head < config.n_heads; ++head) beta[head] = sigmoid(beta[head]);
    for (int i = 0; i < config.n_inner; ++i) {
      float& g = s.dt.row(token)[i];
      const float x = g + bias[static_cast<size_t>(i)];
      const float factor = a[static_cast<size_t>(i / config.n_state)];
      g = bound != 0 ? sigmoid(sign * (x * factor)) * bound : softplus(x, pass.as_ggml()) * factor;
    }
  });
  pass.tap("kda_g1", bound != 0 ? "SCALE" : "MUL", s.dt);
}

}  // namespace

void channel_net_block(ForwardPass& pass, const ChannelDeltaNet& net, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const RecurrentConfig& config = pass.config.recurrent;
  RecurrentScratch& s = pass.recurrent;
  for (Rows* rows : {&s.conv_in, &s.conv}) pass.resize(*rows, config.n_channels);
  for (Rows* rows : {&s.z, &s.y, &s.dt}) pass.resize(*rows, config.n_inner);
  pass.resize(s.b, config.n_heads);
  pass.resize(s.x, 2 * config.n_inner);
  project_inputs(pass, in);
  make_parameters(pass, net, in);
  norm_queries_and_keys(pass);
  run_delta_rule(pass, true);
  pass.norm(s.y, weights[Role::ssm_norm], NormKind::rms, config.n_state, pass.config.norm_eps, s.y);
  pass.tap("kda_normed", "MUL", s.y);
  product_by_row(pass, net.gate_row ? Role::ssm_g_a : net.gate,
                 net.gate_row ? Role::ssm_g_b : Role::none, in, s.z);
  pass.gate_by(s.z, s.y);
  pass.linear("kda_out", weights[Role::attn_output], s.y, pass.branch);
}

}  // namespace crossval
