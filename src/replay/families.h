// What each family's file gives to the table in ops.cc.
#pragma once

#include "replay/inputs.h"

namespace crossval {

// matmul.cc
bool replay_mul_mat(Inputs& in, int variant, Recomputed& out);
// mixture.cc
bool replay_mul_mat_id(Inputs& in, int variant, Recomputed& out);
bool replay_mul_multi_add(Inputs& in, int variant, Recomputed& out);
bool replay_add_id(Inputs& in, int variant, Recomputed& out);
bool replay_argsort(Inputs& in, int variant, Recomputed& out);
bool replay_top_k(Inputs& in, int variant, Recomputed& out);
bool replay_argmax(Inputs& in, int variant, Recomputed& out);
bool replay_sum_rows(Inputs& in, int variant, Recomputed& out);
bool replay_mean(Inputs& in, int variant, Recomputed& out);
// norm.cc
bool replay_rms_norm(Inputs& in, int variant, Recomputed& out);
bool replay_fused_rms_norm(Inputs& in, int variant, Recomputed& out);
bool replay_norm(Inputs& in, int variant, Recomputed& out);
bool replay_l2_norm(Inputs& in, int variant, Recomputed& out);
bool replay_group_norm(Inputs& in, int variant, Recomputed& out);
// rope.cc: ROPE and ROPE_BACK
bool replay_rope(Inputs& in, int variant, Recomputed& out);
// softmax.cc
bool replay_soft_max(Inputs& in, int variant, Recomputed& out);
// flash_attn.cc
bool replay_flash_attn(Inputs& in, int variant, Recomputed& out);
// elementwise.cc
bool replay_add(Inputs& in, int variant, Recomputed& out);
bool replay_sub(Inputs& in, int variant, Recomputed& out);
bool replay_mul(Inputs& in, int variant, Recomputed& out);
bool replay_div(Inputs& in, int variant, Recomputed& out);
bool replay_scale(Inputs& in, int variant, Recomputed& out);
bool replay_clamp(Inputs& in, int variant, Recomputed& out);
bool replay_fill(Inputs& in, int variant, Recomputed& out);
bool replay_arange(Inputs& in, int variant, Recomputed& out);
// activations.cc: unary operations and GLUs, told apart by their name
bool replay_unary(Inputs& in, int variant, Recomputed& out);
bool replay_glu(Inputs& in, int variant, Recomputed& out);
bool replay_fused_up_gate(Inputs& in, int variant, Recomputed& out);
bool replay_moe_fused_up_gate(Inputs& in, int variant, Recomputed& out);
// rows.cc
bool replay_get_rows(Inputs& in, int variant, Recomputed& out);
bool replay_set_rows(Inputs& in, int variant, Recomputed& out);
bool replay_copy(Inputs& in, int variant, Recomputed& out);
bool replay_concat(Inputs& in, int variant, Recomputed& out);
bool replay_repeat(Inputs& in, int variant, Recomputed& out);
bool replay_pad(Inputs& in, int variant, Recomputed& out);
bool replay_set(Inputs& in, int variant, Recomputed& out);
// ssm.cc
bool replay_ssm_conv(Inputs& in, int variant, Recomputed& out);
bool replay_ssm_scan(Inputs& in, int variant, Recomputed& out);
// rwkv.cc
bool replay_rwkv_wkv6(Inputs& in, int variant, Recomputed& out);
bool replay_gated_linear_attn(Inputs& in, int variant, Recomputed& out);
// delta_rule.cc
bool replay_gated_delta_net(Inputs& in, int variant, Recomputed& out);
bool replay_rwkv_wkv7(Inputs& in, int variant, Recomputed& out);
// hyper_connection.cc
bool replay_dsv4_hc_comb(Inputs& in, int variant, Recomputed& out);
bool replay_dsv4_hc_pre(Inputs& in, int variant, Recomputed& out);
bool replay_dsv4_hc_post(Inputs& in, int variant, Recomputed& out);
// lightning_indexer.cc
bool replay_lightning_indexer(Inputs& in, int variant, Recomputed& out);
// triangular.cc
bool replay_cumsum(Inputs& in, int variant, Recomputed& out);
bool replay_tri(Inputs& in, int variant, Recomputed& out);
bool replay_solve_tri(Inputs& in, int variant, Recomputed& out);
// pool.cc
bool replay_pool_1d(Inputs& in, int variant, Recomputed& out);
bool replay_pool_2d(Inputs& in, int variant, Recomputed& out);

}  // namespace crossval
