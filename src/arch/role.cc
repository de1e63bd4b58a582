#include "arch/role.h"

#include <array>

namespace crossval {

std::string_view role_name(Role role) {
  static constexpr std::array<std::string_view, kNRoles> names = {
      "",
      "token_embd",
      "token_embd_norm",
      "position_embd",
      "output",
      "output_norm",
      "rope_freqs",
      "rope_factors_long",
      "rope_factors_short",
      "attn_norm",
      "attn_norm_2",
      "attn_qkv",
      "attn_q",
      "attn_k",
      "attn_v",
      "attn_output",
      "attn_q_norm",
      "attn_k_norm",
      "attn_sub_norm",
      "attn_output_norm",
      "post_attention_norm",
      "layer_output_norm",
      "attn_sinks",
      "attn_gate",
      "attn_q_a",
      "attn_q_a_norm",
      "attn_q_b",
      "attn_kv_a_mqa",
      "attn_kv_a_norm",
      "attn_kv_b",
      "attn_k_b",
      "attn_v_b",
      "indexer.k_norm",
      "indexer.proj",
      "indexer.attn_k",
      "indexer.attn_q_b",
      "ffn_norm",
      "ffn_norm_exps",
      "ffn_gate",
      "ffn_up",
      "ffn_down",
      "ffn_sub_norm",
      "ffn.act",
      "post_ffw_norm",
      "ffn_gate_inp",
      "ffn_gate_exps",
      "ffn_up_exps",
      "ffn_down_exps",
      "ffn_gate_up_exps",
      "exp_probs_b",
      "ffn_gate_shexp",
      "ffn_up_shexp",
      "ffn_down_shexp",
      "ffn_gate_inp_shexp",
  };
  return names[static_cast<size_t>(role)];
}

}  // namespace crossval
