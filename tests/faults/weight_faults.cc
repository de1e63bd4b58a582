// Damage to single weights, blocks, rows and tensors, from a NaN down to one bit.
#include "faults/fault.h"
#include "faults/weight_edits.h"

namespace crossval::testing {
namespace {

bool always(const ModelInfo&, const ModelEdit&) { return true; }
bool is_blocks(const ModelInfo& info, const ModelEdit&) { return has_codes(info.matrix_type); }
bool is_simple(const ModelInfo& info, const ModelEdit&) {
  return has_simple_blocks(info.matrix_type);
}
bool is_float(const ModelInfo& info, const ModelEdit&) { return info.is_float; }

// A matrix of a layer; of a file of mixed types, one that is stored as most are.
std::string any_matrix(const FaultSite& site) {
  const char* const names[] = {"attn_q",      "attn_k",       "attn_v",   "attn_output",
                               "ffn_gate",    "ffn_up",       "ffn_down", "ffn_gate_exps",
                               "ffn_up_exps", "ffn_down_exps"};
  while (true) {
    const auto layer = static_cast<int>(site.random.below(site.info.n_layers));
    const std::string name = blk(layer, names[site.random.below(std::size(names))]);
    if (site.bad.has(name) && site.bad.type(name) == site.info.matrix_type) return name;
  }
}

Expectation scale_one(const FaultSite& site, float factor) {
  const std::string name = any_matrix(site);
  scale_all(site.bad, name, factor);
  // Block scales are f16: a factor near 1 moves each by a rounded number of steps.
  return expect_weight(site, name,
                       site.info.matrix_type == GgmlType::F32
                           ? std::vector<std::string>{"scaled"}
                           : std::vector<std::string>{"scaled", "weights"});
}

}  // namespace

std::span<const Fault> weight_faults() {
  constexpr Group group = Group::weights;
  static const Fault table[] = {
      {"scaled_x1.001", group, true, always,
       [](const FaultSite& site) { return scale_one(site, 1.001f); }},
      {"scaled_x1.01", group, false, always,
       [](const FaultSite& site) { return scale_one(site, 1.01f); }},
      {"scaled_x2", group, false, always,
       [](const FaultSite& site) { return scale_one(site, 2.0f); }},
      {"embd_scaled_x1.01", group, false, always,
       [](const FaultSite& site) {
         scale_all(site.bad, "token_embd.weight", 1.01f);
         return expect_weight(site, "token_embd.weight", {"scaled", "weights"});
       }},
      {"block_scale_bit", group, true, is_blocks,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         flip_scale_bit(site.bad, name, site.random.below(n_blocks(site.bad, name)));
         return expect_weight(site, name, {"damaged_block", "damaged_row"});
       }},
      {"one_code", group, true, is_blocks,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         change_code(site.bad, name, site.random.below(n_blocks(site.bad, name)),
                     site.random.below(256));
         return expect_weight(site, name, {"damaged_block", "damaged_row"});
       }},
      {"scales_shifted", group, true, is_simple,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         shift_scales(site.bad, name);
         return expect_weight(site, name, {"scales_shifted"});
       }},
      {"zero_behind_a_block", group, false, is_simple,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         zero_behind(site.bad, name);
         return expect_weight(site, name, {"zero_blocks"});
       }},
      {"codes_reordered", group, true, is_simple,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         reorder_codes(site.bad, name);
         return expect_weight(site, name, {"codes_permuted"});
       }},
      {"one_weight_negated", group, true, is_float,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         negate_weight(site.bad, name, site.random.below(n_blocks(site.bad, name)));
         return expect_weight(site, name, {"damaged_block", "damaged_row"});
       }},
      {"zero_row", group, true, always,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         zero_row(site.bad, name, site.random.below(n_rows(site.bad, name)));
         return expect_weight(site, name, {"zero_row", "damaged_row"});
       }},
      {"norm_weight_changed", group, false, always,
       [](const FaultSite& site) {
         const auto layer = static_cast<int>(site.random.below(site.info.n_layers));
         const std::string name = blk(layer, "ffn_norm");
         negate_weight(site.bad, name, site.random.below(site.info.n_embd));
         return expect_weight(site, name, {"damaged_block", "damaged_row", "weights"});
       }},
      {"nan_weight", group, true, always,
       [](const FaultSite& site) {
         const std::string name = any_matrix(site);
         site.bad.set_nan(name,
                          site.random.below(n_rows(site.bad, name)) * site.bad.shape(name)[0]);
         return expect_weight(site, name, {"nan_born", "damaged_block", "damaged_row", "weights"});
       }},
  };
  return table;
}

}  // namespace crossval::testing
