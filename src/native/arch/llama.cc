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

// Tap names: llama.cpp src/models/llama.cpp and build_qkv, build_ffn of src/llama-graph.cpp.
void llama_layer(ForwardPass& pass, const LayerWeights& weights) {
  pass.rms_norm(pass.x, weights.attn_norm, pass.normed);
  pass.tap("attn_norm", "MUL", pass.normed);
  pass.linear({"Qcur", "Qcur", "Qcur", true}, weights.attn_q, {}, weights.attn_q_bias, pass.normed,
              pass.q);
  pass.linear({"Kcur", "Kcur", "Kcur", true}, weights.attn_k, {}, weights.attn_k_bias, pass.normed,
              pass.k);
  pass.linear({"Vcur", "Vcur", "Vcur", true}, weights.attn_v, {}, weights.attn_v_bias, pass.normed,
              pass.v);
  pass.rope(pass.q, pass.config.n_heads);
  pass.tap("Qcur", "ROPE", pass.q, pass.config.n_heads);
  pass.rope(pass.k, pass.config.n_kv_heads);
  pass.tap("Kcur", "ROPE", pass.k, pass.config.n_kv_heads);
  pass.attention(pass.q, pass.k, pass.v, pass.heads);
  pass.tap("kqv_out", "CONT", pass.heads);
  pass.linear({"attn_out", "attn_out", "attn_out", false}, weights.attn_output, {},
              weights.attn_output_bias, pass.heads, pass.branch);
  pass.add(pass.branch, pass.x);
  pass.tap("ffn_inp", "ADD", pass.x);

  pass.rms_norm(pass.x, weights.ffn_norm, pass.normed);
  pass.tap("ffn_norm", "MUL", pass.normed);
  pass.linear({"ffn_gate", "ffn_gate_s", "ffn_gate_b", true}, weights.ffn_gate, {},
              weights.ffn_gate_bias, pass.normed, pass.gate);
  pass.linear({"ffn_up", "ffn_up_s", "ffn_up_b", true}, weights.ffn_up, {}, weights.ffn_up_bias,
              pass.normed, pass.up);
  pass.silu_multiply(pass.gate, pass.up);
  pass.tap("ffn_swiglu", "SWIGLU", pass.gate);
  pass.linear({"ffn_out", "ffn_out", "ffn_out", false}, weights.ffn_down, {}, weights.ffn_down_bias,
              pass.gate, pass.branch);
  pass.add(pass.branch, pass.x);
  pass.tap("l_out", "ADD", pass.x);
}

}  // namespace crossval
