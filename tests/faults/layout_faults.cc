// Faults of conversion: the right numbers in the wrong places.
#include "faults/fault.h"
#include "faults/weight_edits.h"

namespace crossval::testing {
namespace {

int any_layer(const FaultSite& site) {
  return static_cast<int>(site.random.below(site.info.n_layers));
}

bool always(const ModelInfo&, const ModelEdit&) { return true; }
bool has_layers(const ModelInfo& info, const ModelEdit&) { return info.n_layers > 1; }
bool has_heads(const ModelInfo& info, const ModelEdit&) { return info.n_heads > 1; }
bool has_kv_heads(const ModelInfo& info, const ModelEdit&) { return info.n_kv_heads > 1; }
bool has_biases(const ModelInfo&, const ModelEdit& model) { return model.has("blk.0.attn_q.bias"); }

std::string bias_name(int layer, const char* matrix) {
  return "blk." + std::to_string(layer) + "." + matrix + ".bias";
}

// As converted for the other RoPE style.
void permute_heads(const FaultSite& site, int layer, const char* matrix, int n_heads) {
  const auto order = rope_permutation(n_heads, site.info.head_dim, !site.info.neox);
  permute_rows(site.bad, blk(layer, matrix), order);
  if (site.bad.has(bias_name(layer, matrix))) {
    permute_rows(site.bad, bias_name(layer, matrix), order);
  }
}

Expectation permute_all(const FaultSite& site) {
  for (int layer = 0; layer < site.info.n_layers; ++layer) {
    permute_heads(site, layer, "attn_q", site.info.n_heads);
    permute_heads(site, layer, "attn_k", site.info.n_kv_heads);
  }
  return {.tensors = {"Qcur-0", "Kcur-0"}, .causes = {"heads_permuted", "rope_style"}};
}

Expectation swap_two_heads(const FaultSite& site, const char* matrix, int n_heads) {
  const int layer = any_layer(site);
  const int first = static_cast<int>(site.random.below(n_heads));
  const int second = (first + 1 + static_cast<int>(site.random.below(n_heads - 1))) % n_heads;
  swap_heads(site.bad, blk(layer, matrix), site.info.head_dim, first, second);
  return expect_weight(site, blk(layer, matrix), {"heads_swapped"});
}

// Exchanges two tensors of one layer; either may be met first.
Expectation swap_tensors(const FaultSite& site, const char* a, const char* b, const char* cause) {
  const int layer = any_layer(site);
  site.bad.swap(blk(layer, a), blk(layer, b));
  Expectation expected = expect_weight(site, blk(layer, a), {cause});
  for (const std::string& tap : taps_of(blk(layer, b), false)) expected.tensors.push_back(tap);
  return expected;
}

Expectation transpose_one(const FaultSite& site, const char* matrix) {
  const std::string name = blk(any_layer(site), matrix);
  transpose(site.bad, name);
  return expect_weight(site, name, {"transposed"});
}

Expectation other_layer(const FaultSite& site, std::vector<const char*> choice) {
  const char* tensor =
      choice[static_cast<size_t>(site.random.below(static_cast<int64_t>(choice.size())))];
  // Types may differ between layers (mixed quantisations): the next one with the same.
  const int layer = any_layer(site);
  for (int step = 1; step < site.info.n_layers; ++step) {
    const int from = (layer + step) % site.info.n_layers;
    if (site.bad.type(blk(from, tensor)) != site.bad.type(blk(layer, tensor))) continue;
    site.bad.copy_content(blk(from, tensor), blk(layer, tensor));
    break;
  }
  return expect_weight(site, blk(layer, tensor), {"other_layer"});
}

Expectation lose_bias(const FaultSite& site, bool remove) {
  const int layer = any_layer(site);
  const char* const matrices[] = {"attn_q", "attn_k", "attn_v"};
  const char* matrix = matrices[site.random.below(3)];
  const std::string name = bias_name(layer, matrix);
  Expectation expected = expect_weight(site, blk(layer, matrix), {"bias_missing"});
  expected.weight = name;
  if (remove) {
    site.bad.remove(name);
  } else {
    site.bad.edit_bytes(name,
                        [](auto& bytes) { std::fill(bytes.begin(), bytes.end(), std::byte{0}); });
  }
  return expected;
}

}  // namespace

std::span<const Fault> layout_faults() {
  constexpr Group group = Group::layout;
  static const Fault table[] = {
      {"qk_permuted", group, true, always, permute_all},
      {"k_permuted_once", group, false, always,
       [](const FaultSite& site) {
         const int layer = any_layer(site);
         permute_heads(site, layer, "attn_k", site.info.n_kv_heads);
         return expect_weight(site, blk(layer, "attn_k"), {"heads_permuted"});
       }},
      {"q_heads_swapped", group, true, has_heads,
       [](const FaultSite& site) { return swap_two_heads(site, "attn_q", site.info.n_heads); }},
      {"v_heads_swapped", group, false, has_kv_heads,
       [](const FaultSite& site) { return swap_two_heads(site, "attn_v", site.info.n_kv_heads); }},
      {"gate_up_swapped", group, true,
       [](const ModelInfo& info, const ModelEdit&) { return info.is_dense; },
       [](const FaultSite& site) {
         return swap_tensors(site, "ffn_gate", "ffn_up", "gate_up_swapped");
       }},
      {"kv_swapped", group, true,
       [](const ModelInfo&, const ModelEdit& model) {
         return model.type(blk(0, "attn_k")) == model.type(blk(0, "attn_v"));
       },
       [](const FaultSite& site) { return swap_tensors(site, "attn_k", "attn_v", "qkv_swapped"); }},
      {"qk_swapped", group, false,
       [](const ModelInfo& info, const ModelEdit&) { return info.n_kv_heads == info.n_heads; },
       [](const FaultSite& site) { return swap_tensors(site, "attn_q", "attn_k", "qkv_swapped"); }},
      {"q_transposed", group, false,
       [](const ModelInfo& info, const ModelEdit&) { return info.is_float; },
       [](const FaultSite& site) { return transpose_one(site, "attn_q"); }},
      {"wo_transposed", group, true,
       [](const ModelInfo& info, const ModelEdit&) { return info.is_float; },
       [](const FaultSite& site) { return transpose_one(site, "attn_output"); }},
      {"norm_plus_one", group, true, always,
       [](const FaultSite& site) {
         const std::string name =
             blk(any_layer(site), site.random.below(2) == 0 ? "attn_norm" : "ffn_norm");
         add_to_all(site.bad, name, 1.0f);
         return expect_weight(site, name, {"norm_plus_one"});
       }},
      {"norm_of_other_layer", group, false, has_layers,
       [](const FaultSite& site) {
         return other_layer(site, {"attn_norm", "ffn_norm"});
       }},
      {"matrix_of_other_layer", group, true, has_layers,
       [](const FaultSite& site) {
         return other_layer(site, {"attn_q", "attn_v", "attn_output",
                                   site.info.is_dense ? "ffn_up" : "ffn_up_exps"});
       }},
      {"output_dropped", group, false,
       [](const ModelInfo& info, const ModelEdit&) { return !info.tied; },
       [](const FaultSite& site) {
         site.bad.remove("output.weight");
         return expect_weight(site, "output.weight", {"other_weight", "weight_unused"});
       }},
      // llama.cpp ignores an output matrix of bitnet's.
      {"output_untied", group, false,
       [](const ModelInfo& info, const ModelEdit&) { return info.tied && info.arch != "bitnet"; },
       [](const FaultSite& site) {
         const std::string embd = "token_embd.weight", output = "output.weight";
         const auto shape = site.bad.shape(embd);
         const GgmlType type = site.bad.type(embd);
         site.bad.add(output, type, shape,
                      std::vector<std::byte>(static_cast<size_t>(*tensor_bytes(type, shape))));
         site.bad.copy_content(embd, output);
         swap_heads(site.bad, output, 1, 3, 4);  // two tokens' rows exchanged
         return Expectation{.tensors = {"result_output"},
                            .weight = output,
                            .causes = {"extra_weight", "other_weight"}};
       }},
      {"bias_zeroed", group, true, has_biases,
       [](const FaultSite& site) { return lose_bias(site, false); }},
      {"bias_removed", group, false,
       [](const ModelInfo& info, const ModelEdit& model) {
         return info.native_knows && has_biases(info, model);
       },
       [](const FaultSite& site) { return lose_bias(site, true); }},
  };
  return table;
}

}  // namespace crossval::testing
