// Kimi Delta Attention: queries, keys and values through short convolutions, the state of each head
// a token on, its norm and gate, the way back. Token by token, as ggml's operation computes prompts
// too (ggml-cpu/ops.cpp `ggml_compute_forward_gated_delta_net_one_chunk` with a g for each element
// of a key). The rest and the names of taps: llama.cpp src/models/kimi-linear.cpp.
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

// Into s.conv: queries, keys and values behind one another, past their convolutions.
void project_inputs(ForwardPass& pass, const Rows& in) {
  RecurrentScratch& s = pass.recurrent;
  const WeightsByRole& weights = pass.layer_weights();
  const int n_inner = pass.config.recurrent.n_inner;
  if (weights[Role::attn_qkv]) {
    linear(pass, nullptr, Role::attn_qkv, in, s.conv_in);
  } else {
    pass.resize(s.in, n_inner);
    int at = 0;
    for (const Role role : {Role::attn_q, Role::attn_k, Role::attn_v}) {
      linear(pass, nullptr, role, in, s.in);
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
  if (second == Role::none) return linear(pass, nullptr, first, in, out);
  RecurrentScratch& s = pass.recurrent;
  pass.resize(s.dt_low, pass.config.recurrent.n_state);
  linear(pass, nullptr, first, in, s.dt_low);
  linear(pass, nullptr, second, s.dt_low, out);
}

// e^g of every element of the keys into s.dt, beta of every head into s.b.
void make_parameters(ForwardPass& pass, const ChannelDeltaNet& net, const Rows& in) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const WeightsByRole& weights = pass.layer_weights();
  product_by_row(pass, Role::ssm_f_a, net.decay_row ? Role::ssm_f_b : Role::none, in, s.dt);
  linear(pass, nullptr, Role::ssm_beta, in, s.b);
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
  pass.each_token([&](int64_t token) {
    for (int i = 0; i < config.n_inner; ++i) s.dt.row(token)[i] = std::exp(s.dt.row(token)[i]);
  });
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

// Calls step(i), whose results it adds up.
template <typename Step>
float sum_over(int n, Step step) {
  float lanes[kLanes] = {};
  double rest = 0;
  int i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] += step(i + lane);
  }
  for (; i < n; ++i) rest += static_cast<double>(step(i));
  for (const float lane : lanes) rest += static_cast<double>(lane);
  return static_cast<float>(rest);
}

// Rows `first` to `end` of the state, each of which one value of a head corrects, over all tokens.
void run_rows(ForwardPass& pass, int first, int end) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const int n = config.n_state;
  const float scale = 1.0f / std::sqrt(static_cast<float>(n));
  float* state = pass.recurrent_state.state(pass.layer);
  for (int64_t token = 0; token < pass.n_tokens; ++token) {
    const float* values = s.conv.row(token) + 2 * config.n_inner;
    for (int row = first; row < end; ++row) {
      const int head = row / n;
      const float *q = s.x.row(token) + head * n, *k = q + config.n_inner;
      const float* decay = s.dt.row(token) + head * n;
      float* here = state + int64_t{row} * n;
      const float read = sum_over(n, [&](int i) {
        here[i] *= decay[i];
        return here[i] * k[i];
      });
      const float delta = (values[row] - read) * s.b.row(token)[head];
      s.y.row(token)[row] = scale * sum_over(n, [&](int i) {
                              here[i] += k[i] * delta;
                              return here[i] * q[i];
                            });
    }
  }
}

}  // namespace

void channel_net_block(ForwardPass& pass, const ChannelDeltaNet& net, const Rows& in) {
  const RecurrentConfig& config = pass.config.recurrent;
  RecurrentScratch& s = pass.recurrent;
  for (Rows* rows : {&s.conv_in, &s.conv}) pass.resize(*rows, config.n_channels);
  for (Rows* rows : {&s.z, &s.y, &s.dt}) pass.resize(*rows, config.n_inner);
  pass.resize(s.b, config.n_heads);
  pass.resize(s.x, 2 * config.n_inner);
  project_inputs(pass, in);
  make_parameters(pass, net, in);
  norm_queries_and_keys(pass);
  pass.each((config.n_inner + kRowsPerItem - 1) / kRowsPerItem, [&](int64_t item) {
    const int first = static_cast<int>(item) * kRowsPerItem;
    run_rows(pass, first, std::min(first + kRowsPerItem, config.n_inner));
  });
  pass.norm(s.y, pass.layer_weights()[Role::ssm_norm], NormKind::rms, config.n_state,
            pass.config.norm_eps, s.y);
  pass.tap("kda_normed", "MUL", s.y);
  product_by_row(pass, net.gate_row ? Role::ssm_g_a : net.gate,
                 net.gate_row ? Role::ssm_g_b : Role::none, in, s.z);
  pass.each_token([&](int64_t token) {
    for (int i = 0; i < config.n_inner; ++i) s.y.row(token)[i] *= sigmoid(s.z.row(token)[i]);
  });
  linear(pass, "kda_out", Role::attn_output, s.y, pass.branch);
}

}  // namespace crossval
