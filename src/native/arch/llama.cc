#include "native/arch/llama.h"

namespace crossval {

std::span<const WeightSpec> llama_layer_weights() {
  using L = LayerWeights;
  constexpr auto n_embd = [](const Config& c) -> int64_t { return c.n_embd; };
  constexpr auto n_ff = [](const Config& c) -> int64_t { return c.n_ff; };
  constexpr auto n_q = [](const Config& c) -> int64_t { return c.n_q(); };
  constexpr auto n_kv = [](const Config& c) -> int64_t { return c.n_kv(); };
  static const WeightSpec specs[] = {
      {"attn_norm.weight", nullptr, &L::attn_norm, n_embd, nullptr, true},
      {"attn_q.weight", &L::attn_q, nullptr, n_embd, n_q, true},
      {"attn_k.weight", &L::attn_k, nullptr, n_embd, n_kv, true},
      {"attn_v.weight", &L::attn_v, nullptr, n_embd, n_kv, true},
      {"attn_output.weight", &L::attn_output, nullptr, n_q, n_embd, true},
      {"attn_q.bias", nullptr, &L::attn_q_bias, n_q, nullptr, false},
      {"attn_k.bias", nullptr, &L::attn_k_bias, n_kv, nullptr, false},
      {"attn_v.bias", nullptr, &L::attn_v_bias, n_kv, nullptr, false},
      {"attn_output.bias", nullptr, &L::attn_output_bias, n_embd, nullptr, false},
      {"ffn_norm.weight", nullptr, &L::ffn_norm, n_embd, nullptr, true},
      {"ffn_gate.weight", &L::ffn_gate, nullptr, n_embd, n_ff, true},
      {"ffn_up.weight", &L::ffn_up, nullptr, n_embd, n_ff, true},
      {"ffn_down.weight", &L::ffn_down, nullptr, n_ff, n_embd, true},
      {"ffn_gate.bias", nullptr, &L::ffn_gate_bias, n_ff, nullptr, false},
      {"ffn_up.bias", nullptr, &L::ffn_up_bias, n_ff, nullptr, false},
      {"ffn_down.bias", nullptr, &L::ffn_down_bias, n_embd, nullptr, false},
  };
  return specs;
}

std::span<const std::string_view> llama_unsupported_keys() {
  static constexpr std::string_view keys[] = {"expert_count", "attention.sliding_window",
                                              "logit_scale"};
  return keys;
}

void llama_layer(ForwardPass& pass, const LayerWeights& weights, int layer) {
  pass.rms_norm(pass.x, weights.attn_norm, pass.normed);
  pass.linear(weights.attn_q, weights.attn_q_bias, pass.normed, pass.q);
  pass.linear(weights.attn_k, weights.attn_k_bias, pass.normed, pass.k);
  pass.linear(weights.attn_v, weights.attn_v_bias, pass.normed, pass.v);
  pass.rope(pass.q, pass.config.n_heads);
  pass.rope(pass.k, pass.config.n_kv_heads);
  pass.attention(layer, pass.q, pass.k, pass.v, pass.heads);
  pass.linear(weights.attn_output, weights.attn_output_bias, pass.heads, pass.branch);
  pass.add(pass.branch, pass.x);

  pass.rms_norm(pass.x, weights.ffn_norm, pass.normed);
  pass.linear(weights.ffn_gate, weights.ffn_gate_bias, pass.normed, pass.gate);
  pass.linear(weights.ffn_up, weights.ffn_up_bias, pass.normed, pass.up);
  pass.silu_multiply(pass.gate, pass.up);
  pass.linear(weights.ffn_down, weights.ffn_down_bias, pass.gate, pass.branch);
  pass.add(pass.branch, pass.x);
}

}  // namespace crossval
