// What a tensor is for. Files name tensors by role ("blk.3.attn_q.weight"); so do the blocks.
#pragma once

#include <cstdint>
#include <string_view>

namespace crossval {

enum class Role : uint8_t {
  none,
  // outside the layers
  token_embd,
  token_embd_norm,
  position_embd,
  output,
  output_norm,
  output_norm_lfm2,
  rope_freqs,
  rope_factors_long,
  rope_factors_short,
  output_hc_fn,
  output_hc_base,
  output_hc_scale,
  output_res_score,
  hrm_z_l_init,
  // attention
  attn_norm,
  attn_norm_2,
  attn_qkv,
  attn_q,
  attn_k,
  attn_v,
  attn_output,
  attn_q_norm,
  attn_k_norm,
  attn_sub_norm,
  attn_out_norm,
  attn_post_norm,
  layer_out_norm,
  attn_sinks,
  attn_gate,
  layer_output_scale,
  // for the tokens of pictures
  vis_attn_qkv,
  vis_attn_output,
  vis_gate,
  vis_up,
  vis_down,
  // latent attention
  attn_q_a,
  attn_q_a_norm,
  attn_q_b,
  attn_kv_a_mqa,
  attn_kv_a_norm,
  attn_kv_b,
  attn_k_b,
  attn_v_b,
  indexer_k_norm,
  indexer_proj,
  indexer_attn_k,
  indexer_attn_q_b,
  // hyper connections
  hc_attn_fn,
  hc_attn_base,
  hc_attn_scale,
  hc_ffn_fn,
  hc_ffn_base,
  hc_ffn_scale,
  // residual checkpoints
  attn_res_score,
  ffn_res_score,
  // feed-forward
  ffn_norm,
  ffn_norm_exps,
  ffn_gate,
  ffn_up,
  ffn_down,
  ffn_sub_norm,
  ffn_act,
  ffn_post_norm,
  // experts
  ffn_gate_inp,
  ffn_gate_exps,
  ffn_up_exps,
  ffn_down_exps,
  ffn_gate_up_exps,
  exp_probs_b,
  ffn_gate_shexp,
  ffn_up_shexp,
  ffn_down_shexp,
  ffn_gate_inp_shexp,
  ffn_routed_down,
  ffn_routed_norm,
  ffn_routed_up,
  ffn_gate_chexps,
  ffn_up_chexps,
  ffn_down_chexps,
  // recurrent
  ssm_in,
  ssm_conv1d,
  ssm_x,
  ssm_dt,
  ssm_dt_norm,
  ssm_b_norm,
  ssm_c_norm,
  ssm_a,
  ssm_d,
  ssm_norm,
  ssm_out,
  ssm_beta,
  ssm_alpha,
  ssm_beta_alpha,
  ssm_conv1d_q,
  ssm_conv1d_k,
  ssm_conv1d_v,
  ssm_f_a,
  ssm_f_b,
  ssm_g_a,
  ssm_g_b,
  ssm_g,
  shortconv_in,
  shortconv_conv,
  shortconv_out,
  count,
};

inline constexpr size_t kNRoles = static_cast<size_t>(Role::count);

// The name in a GGUF file, without "blk.N." and ".weight" (llama.cpp src/llama-arch.cpp
// LLM_TENSOR_NAMES): "attn_q".
std::string_view role_name(Role role);

}  // namespace crossval
