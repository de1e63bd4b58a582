#include "arch/role_taps.h"

#include <utility>

namespace crossval {
namespace {

// llama.cpp src/llama-graph.cpp `build_qkv`, `build_attn`, `build_ffn`, `build_moe_ffn`, and what
// most of src/models call what they make with them.
constexpr std::pair<Role, std::string_view> kTaps[] = {
    {Role::token_embd, "inp_embd"},
    {Role::position_embd, "pos_embd"},
    {Role::output_norm, "result_norm"},
    {Role::output, "result_output"},
    {Role::attn_norm, "attn_norm"},
    {Role::attn_norm_2, "attn_norm_2"},
    {Role::attn_qkv, "wqkv"},
    {Role::attn_q, "Qcur"},
    {Role::attn_k, "Kcur"},
    {Role::attn_v, "Vcur"},
    {Role::attn_q_norm, "Qcur_normed"},
    {Role::attn_k_norm, "Kcur_normed"},
    {Role::attn_output, "attn_out"},
    {Role::attn_post_norm, "attn_post_norm"},
    {Role::ffn_norm, "ffn_norm"},
    {Role::ffn_gate, "ffn_gate"},
    {Role::ffn_up, "ffn_up"},
    {Role::ffn_down, "ffn_out"},
    {Role::ffn_post_norm, "ffn_post_norm"},
    {Role::ffn_gate_inp, "ffn_moe_logits"},
};

}  // namespace

std::string_view tap_of_role(Role role) {
  for (const auto& [known, tap] : kTaps) {
    if (known == role) return tap;
  }
  return "";
}

}  // namespace crossval
