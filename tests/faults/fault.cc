#include "faults/fault.h"

#include <utility>

namespace crossval::testing {

const char* group_name(Group group) {
  switch (group) {
    case Group::hyperparameter:
      return "hyperparameter";
    case Group::layout:
      return "layout";
    case Group::weights:
      return "weights";
    case Group::kernel:
      return "kernel";
    case Group::tokenizer:
      return "tokenizer";
    case Group::clean:
      return "clean";
  }
  return "";
}

std::vector<const Fault*> all_faults() {
  std::vector<const Fault*> all;
  for (const auto table : {hyperparameter_faults(), layout_faults(), weight_faults(),
                           kernel_faults(), tokenizer_faults(), clean_pairs()}) {
    for (const Fault& fault : table) all.push_back(&fault);
  }
  return all;
}

std::vector<std::string> taps_of(const std::string& weight, bool tied) {
  // The names in llama.cpp's graphs of today and of 2024 (src/models).
  static const std::pair<const char*, std::vector<std::string>> table[] = {
      {"attn_norm", {"attn_norm"}},
      {"attn_q", {"Qcur"}},
      {"attn_k", {"Kcur"}},
      {"attn_v", {"Vcur"}},
      {"attn_output", {"attn_out", "attn_o_out"}},
      {"attn_q_norm", {"Qcur_normed"}},
      {"attn_k_norm", {"Kcur_normed"}},
      {"attn_sub_norm", {"attn_sub_norm"}},
      {"post_attention_norm", {"attn_post_norm"}},
      {"ffn_norm", {"ffn_norm"}},
      {"ffn_gate", {"ffn_gate"}},
      {"ffn_up", {"ffn_up"}},
      {"ffn_down", {"ffn_out", "ffn_down"}},
      {"ffn_gate_inp", {"ffn_moe_logits"}},
      {"ffn_gate_exps", {"ffn_moe_gate"}},
      {"ffn_up_exps", {"ffn_moe_up"}},
      {"ffn_down_exps", {"ffn_moe_down"}},
      {"ffn_sub_norm", {"ffn_sub_norm"}},
      {"post_ffw_norm", {"ffn_post_norm"}},
  };
  if (weight == "token_embd.weight") {
    std::vector<std::string> names = {"embd", "inp_embd"};
    if (tied) names.emplace_back("result_output");
    return names;
  }
  if (weight == "output.weight") return {"result_output"};
  if (weight == "output_norm.weight") return {"result_norm"};
  const size_t layer_at = weight.find('.'), name_at = weight.find('.', layer_at + 1);
  const std::string layer = weight.substr(layer_at + 1, name_at - layer_at - 1);
  const std::string name = weight.substr(name_at + 1, weight.rfind('.') - name_at - 1);
  std::vector<std::string> names;
  for (const auto& [of, taps] : table) {
    if (name != of) continue;
    for (const std::string& tap : taps) names.push_back(tap + "-" + layer);
  }
  return names;
}

Expectation expect_weight(const FaultSite& site, const std::string& weight,
                          std::vector<std::string> causes) {
  return {
      .tensors = taps_of(weight, site.info.tied), .weight = weight, .causes = std::move(causes)};
}

}  // namespace crossval::testing
