#include "compare/tap_names.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

namespace crossval {
namespace {

using Names = std::span<const std::string_view>;

constexpr std::string_view kViews[] = {"RESHAPE", "VIEW", "PERMUTE", "TRANSPOSE", "NONE"};
constexpr std::string_view kMergeOps[] = {"CONT", "RESHAPE", "VIEW", "FLASH_ATTN_EXT"};
constexpr std::string_view kFusedGateOps[] = {"FUSED_MUL_UNARY", "FUSED_UP_GATE"};

// First matching row wins; no ops = any. Sources: llama.cpp of today (src/llama-graph.cpp,
// src/models/{llama,bitnet}.cpp), of Oct 2024 (src/llama.cpp `llm_build_kqv`, `llm_build_kv`,
// `llm_build_ffn`, `build_bitnet`) and ik_llama.cpp (src/llama-build-context.cpp,
// src/graphs/build_bitnet.cpp).
struct Alias {
  std::string_view stem;
  Names ops;
  std::string_view canonical, family;
};
constexpr Alias kAliases[] = {
    {"inp_embd", {}, "embd", "embd"},
    {"embd", {}, "embd", "embd"},
    // Merged heads before the output matrix. With that matrix in the same helper, llama.cpp of 2024
    // calls its product kqv_out instead.
    {"kqv_merged_cont", {}, "kqv_out", "merge"},
    {"kqv_out", kMergeOps, "kqv_out", "merge"},
    {"kqv_out", {}, "attn_out", "result"},
    {"attn_o_out", {}, "attn_out", "result"},
    {"attn_out", {}, "attn_out", "result"},
    {"kq_soft_max_ext", {}, "kq_soft_max", "SOFT_MAX"},
    // activation(gate) * up
    {"ffn_swiglu", {}, "ffn_gate_par", "product"},
    {"ffn_geglu", {}, "ffn_gate_par", "product"},
    {"ffn_reglu", {}, "ffn_gate_par", "product"},
    {"ffn_gate_par", {}, "ffn_gate_par", "product"},
    {"ffn_up_gate", {}, "ffn_gate_par", "product"},
    {"ffn_sub_out", {}, "ffn_gate_par", "product"},
    {"ffn_out", kFusedGateOps, "ffn_gate_par", "product"},
};

// Families of one name's steps; an operation that is not listed is its own family.
constexpr std::pair<std::string_view, std::string_view> kFamilies[] = {
    {"MUL_MAT", "product"}, {"MUL", "product"},         {"ADD", "bias"},        {"ROPE", "rope"},
    {"ROPE_FAST", "rope"},  {"FUSED_RMS_NORM", "norm"}, {"FUSED_NORM", "norm"},
};

bool is_any(std::string_view text, Names names) { return std::ranges::count(names, text) > 0; }

std::string_view stem_of(const Tap& tap) {
  const std::string_view name = tap.name;
  const size_t dash = name.rfind('-');
  return tap.layer < 0 || dash == std::string_view::npos ? name : name.substr(0, dash);
}

const Alias* find_alias(std::string_view stem, std::string_view op) {
  for (const Alias& alias : kAliases) {
    if (alias.stem == stem && (alias.ops.empty() || is_any(op, alias.ops))) return &alias;
  }
  return nullptr;
}

}  // namespace

TapKey tap_key(const Tap& tap) {
  const std::string_view stem = stem_of(tap);
  if (const Alias* alias = find_alias(stem, tap.op)) {
    return {std::string(alias->canonical), tap.layer, std::string(alias->family), 0};
  }
  // "attn_norm" is the weighted norm, fused or not; "norm" alone the step before its weight.
  if (stem.ends_with("_norm")) return {std::string(stem), tap.layer, "norm", 0};
  for (const auto& [op, family] : kFamilies) {
    if (op == tap.op) return {std::string(stem), tap.layer, std::string(family), 0};
  }
  return {std::string(stem), tap.layer, tap.op, 0};
}

bool is_pairable(const Tap& tap) {
  const std::string_view stem = stem_of(tap);
  if (stem.empty() || stem.starts_with("node_") || stem.starts_with("leaf_")) return false;
  if (stem.starts_with("cache_") || stem.find("_cache_view") != std::string_view::npos)
    return false;
  return !is_any(tap.op, kViews) || find_alias(stem, tap.op) != nullptr;
}

}  // namespace crossval
