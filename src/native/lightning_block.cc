// Lightning attention, token by token: llama.cpp computes an evaluation at once, which is the same
// sums in another order. Source, and of the names of taps: llama.cpp src/models/minimax-01.cpp.
#include <algorithm>
#include <cmath>

#include "native/forward.h"

namespace crossval {
namespace {

// How fast a head forgets: llm_graph_input_la, and by layer.
float rate_of(int head, int n_heads, int layer, int n_layers) {
  const float start = std::exp2(-std::exp2(-(std::log2(static_cast<float>(n_heads)) - 3)));
  const float slope = start * std::pow(start, static_cast<float>(head));
  // One layer alone would divide by 0.
  const double depth = n_layers > 1 ? 1.0 * layer / (n_layers - 1) : 0.0;
  return slope * static_cast<float>(1.0 - depth + 1e-5);
}

// Of one head over all tokens. The state lies by key: [n of keys, n of values].
void run_head(ForwardPass& pass, int head) {
  RecurrentScratch& s = pass.recurrent;
  const RecurrentConfig& config = pass.config.recurrent;
  const int n = config.n_state;
  const float decay = std::exp(-rate_of(head, config.n_heads, pass.layer, pass.config.n_layers));
  float* state = pass.recurrent_state.state(pass.layer) + int64_t{head} * n * n;
  for (int64_t token = 0; token < pass.n_tokens; ++token) {
    const float *q = s.in.row(token) + int64_t{3} * head * n, *k = q + n, *v = k + n;
    float* y = s.y.row(token) + int64_t{head} * n;
    std::fill_n(y, n, 0.0f);
    for (int i = 0; i < n; ++i) {
      float* row = state + int64_t{i} * n;
      for (int j = 0; j < n; ++j) {
        row[j] = row[j] * decay + k[i] * v[j];
        y[j] += q[i] * row[j];
      }
    }
  }
}

}  // namespace

void lightning_block(ForwardPass& pass, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const RecurrentConfig& config = pass.config.recurrent;
  RecurrentScratch& s = pass.recurrent;
  pass.resize(s.in, 3 * config.n_inner);
  for (Rows* rows : {&s.y, &s.z}) pass.resize(*rows, config.n_inner);
  pass.linear("QKVcur", weights[Role::attn_qkv], in, s.in);
  pass.activate(Act::silu, nullptr, s.in);
  pass.tap("QKVcur_silu", "SILU", s.in);
  pass.each(config.n_heads, [&](int64_t head) { run_head(pass, static_cast<int>(head)); });
  pass.norm(s.y, weights[Role::attn_norm_2], s.y);
  pass.tap("qkv_norm", "MUL", s.y);
  pass.linear("g", weights[Role::attn_gate], in, s.z);
  pass.gate_by(s.z, s.y);
  pass.linear("attn_out", weights[Role::attn_output], s.y, pass.branch);
}

}  // namespace crossval
