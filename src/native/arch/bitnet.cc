#include "native/arch/bitnet.h"

#include <vector>

#include "native/arch/llama.h"

namespace crossval {
namespace {

using Activation = void (ForwardPass::*)(Rows& gate, const Rows& up);

// Tap names: llama.cpp src/models/bitnet.cpp.
void layer_with(Activation activation, ForwardPass& pass, const LayerWeights& weights) {
  pass.rms_norm(pass.x, weights.attn_norm, pass.normed);
  pass.tap("attn_norm", "MUL", pass.normed);
  pass.linear({"Qcur", "Qcur", "Qcur", true}, weights.attn_q, weights.attn_q_scale,
              weights.attn_q_bias, pass.normed, pass.q);
  pass.linear({"Kcur", "Kcur", "Kcur", true}, weights.attn_k, weights.attn_k_scale,
              weights.attn_k_bias, pass.normed, pass.k);
  pass.linear({"Vcur", "Vcur", "Vcur", true}, weights.attn_v, weights.attn_v_scale,
              weights.attn_v_bias, pass.normed, pass.v);
  pass.rope(pass.q, pass.config.n_heads);
  pass.tap("Qcur", "ROPE", pass.q, pass.config.n_heads);
  pass.rope(pass.k, pass.config.n_kv_heads);
  pass.tap("Kcur", "ROPE", pass.k, pass.config.n_kv_heads);
  pass.attention(pass.q, pass.k, pass.v, pass.heads);
  pass.tap("kqv_out", "CONT", pass.heads);
  pass.rms_norm(pass.heads, weights.attn_sub_norm, pass.heads);
  pass.tap("attn_sub_norm", "MUL", pass.heads);
  pass.linear({"attn_out", "attn_out", "attn_out", false}, weights.attn_output,
              weights.attn_output_scale, weights.attn_output_bias, pass.heads, pass.branch);
  pass.add(pass.branch, pass.x);
  pass.tap("ffn_inp", "ADD", pass.x);

  pass.rms_norm(pass.x, weights.ffn_norm, pass.normed);
  pass.tap("ffn_norm", "MUL", pass.normed);
  pass.linear({"ffn_gate", "ffn_gate_s", "ffn_gate_b", true}, weights.ffn_gate,
              weights.ffn_gate_scale, weights.ffn_gate_bias, pass.normed, pass.gate);
  pass.linear({"ffn_up", "ffn_up_s", "ffn_up_b", true}, weights.ffn_up, weights.ffn_up_scale,
              weights.ffn_up_bias, pass.normed, pass.up);
  (pass.*activation)(pass.gate, pass.up);
  pass.tap("ffn_sub_out", "MUL", pass.gate);
  pass.rms_norm(pass.gate, weights.ffn_sub_norm, pass.gate);
  pass.tap("ffn_sub_norm", "MUL", pass.gate);
  pass.linear({"ffn_down", "ffn_down", "ffn_down", false}, weights.ffn_down, weights.ffn_down_scale,
              weights.ffn_down_bias, pass.gate, pass.branch);
  pass.add(pass.branch, pass.x);
  pass.tap("l_out", "ADD", pass.x);
}

}  // namespace

// Llama's, two sub-norms, and an optional factor of each projection.
std::span<const WeightSpec> bitnet_layer_weights() {
  using L = LayerWeights;
  constexpr auto one = [](const Config&) -> int64_t { return 1; };
  constexpr auto n_ff = [](const Config& c) -> int64_t { return c.n_ff; };
  constexpr auto n_q = [](const Config& c) -> int64_t { return c.n_q(); };
  static const std::vector<WeightSpec> specs = [&] {
    const std::span<const WeightSpec> llama = llama_layer_weights();
    std::vector<WeightSpec> all(llama.begin(), llama.end());
    all.insert(all.end(),
               {{"attn_sub_norm.weight", nullptr, &L::attn_sub_norm, n_q, nullptr, true},
                {"ffn_sub_norm.weight", nullptr, &L::ffn_sub_norm, n_ff, nullptr, true},
                {"attn_q.scale", nullptr, &L::attn_q_scale, one, nullptr, false},
                {"attn_k.scale", nullptr, &L::attn_k_scale, one, nullptr, false},
                {"attn_v.scale", nullptr, &L::attn_v_scale, one, nullptr, false},
                {"attn_output.scale", nullptr, &L::attn_output_scale, one, nullptr, false},
                {"ffn_gate.scale", nullptr, &L::ffn_gate_scale, one, nullptr, false},
                {"ffn_up.scale", nullptr, &L::ffn_up_scale, one, nullptr, false},
                {"ffn_down.scale", nullptr, &L::ffn_down_scale, one, nullptr, false}});
    return all;
  }();
  return specs;
}

std::span<const std::string_view> bitnet_unsupported_keys() { return llama_unsupported_keys(); }

void bitnet_silu_layer(ForwardPass& pass, const LayerWeights& weights) {
  layer_with(&ForwardPass::silu_multiply, pass, weights);
}

void bitnet_relu2_layer(ForwardPass& pass, const LayerWeights& weights) {
  layer_with(&ForwardPass::relu_squared_multiply, pass, weights);
}

}  // namespace crossval
