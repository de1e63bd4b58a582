// The words for what is wrong with a tensor: one table, for JSON, text and the fault suite.
#pragma once

#include <cstddef>
#include <iterator>
#include <string_view>

namespace crossval {

enum class Cause {
  unknown,
  rms_eps,
  rope_base,
  rope_scaling,
  rope_dims,
  rope_style,
  rope_freqs,
  rope_attn_factor,
  rope_original_context,
  head_count,
  heads_permuted,
  heads_swapped,
  experts_swapped,
  rows_permuted,
  transposed,
  gate_up_swapped,
  qkv_swapped,
  activation,
  attention_scale,
  softcap,
  sliding_window,
  bias_missing,
  weight_unused,
  extra_weight,
  norm_plus_one,
  scaled,
  other_layer,
  other_weight,
  codes_permuted,
  scales_shifted,
  codes_shifted,
  zero_blocks,
  non_finite_weight,
  damaged_block,
  damaged_row,
  zero_row,
  kv_rounding,
  not_written,
  nan_born,
  f16_overflow,
  overwritten,
  int16_overflow,
  tokens,
  positions,
  kernel,
  weights,
  graph,
  nondeterminism,
  operation_missing,
  operation_extra,
  factor,
  limit,
  experts_used,
};

struct CauseInfo {
  Cause cause;
  std::string_view word;  // of the JSON
  // "hyperparameter", "weights", "op", "graph", "tokens" or "nondeterminism": `kind` of the
  // JSON.
  std::string_view kind;
};

inline constexpr CauseInfo kCauseTable[] = {
    {Cause::unknown, "unknown", "op"},
    {Cause::rms_eps, "rms_eps", "hyperparameter"},
    {Cause::rope_base, "rope_base", "hyperparameter"},
    {Cause::rope_scaling, "rope_scaling", "hyperparameter"},
    {Cause::rope_dims, "rope_dims", "hyperparameter"},
    {Cause::rope_style, "rope_style", "hyperparameter"},
    {Cause::rope_freqs, "rope_freqs", "hyperparameter"},
    {Cause::rope_attn_factor, "rope_attn_factor", "hyperparameter"},
    {Cause::rope_original_context, "rope_original_context", "hyperparameter"},
    {Cause::head_count, "head_count", "hyperparameter"},
    {Cause::heads_permuted, "heads_permuted", "weights"},
    {Cause::heads_swapped, "heads_swapped", "weights"},
    {Cause::experts_swapped, "experts_swapped", "weights"},
    {Cause::rows_permuted, "rows_permuted", "weights"},
    {Cause::transposed, "transposed", "weights"},
    {Cause::gate_up_swapped, "gate_up_swapped", "weights"},
    {Cause::qkv_swapped, "qkv_swapped", "weights"},
    {Cause::activation, "activation", "hyperparameter"},
    {Cause::attention_scale, "attention_scale", "hyperparameter"},
    {Cause::softcap, "softcap", "hyperparameter"},
    {Cause::sliding_window, "sliding_window", "hyperparameter"},
    {Cause::bias_missing, "bias_missing", "graph"},
    {Cause::weight_unused, "weight_unused", "graph"},
    {Cause::extra_weight, "extra_weight", "graph"},
    {Cause::norm_plus_one, "norm_plus_one", "weights"},
    {Cause::scaled, "scaled", "weights"},
    {Cause::other_layer, "other_layer", "weights"},
    {Cause::other_weight, "other_weight", "weights"},
    {Cause::codes_permuted, "codes_permuted", "weights"},
    {Cause::scales_shifted, "scales_shifted", "weights"},
    {Cause::codes_shifted, "codes_shifted", "op"},
    {Cause::zero_blocks, "zero_blocks", "weights"},
    {Cause::non_finite_weight, "non_finite_weight", "weights"},
    {Cause::damaged_block, "damaged_block", "weights"},
    {Cause::damaged_row, "damaged_row", "weights"},
    {Cause::zero_row, "zero_row", "weights"},
    {Cause::kv_rounding, "kv_rounding", "op"},
    {Cause::not_written, "not_written", "op"},
    {Cause::nan_born, "nan_born", "op"},
    {Cause::f16_overflow, "f16_overflow", "op"},
    {Cause::overwritten, "overwritten", "op"},
    {Cause::int16_overflow, "int16_overflow", "op"},
    {Cause::tokens, "tokens", "tokens"},
    {Cause::positions, "positions", "graph"},
    {Cause::kernel, "kernel", "op"},
    {Cause::weights, "weights", "weights"},
    {Cause::graph, "graph", "graph"},
    {Cause::nondeterminism, "nondeterminism", "nondeterminism"},
    {Cause::operation_missing, "operation_missing", "graph"},
    {Cause::operation_extra, "operation_extra", "graph"},
    {Cause::factor, "factor", "hyperparameter"},
    {Cause::limit, "limit", "hyperparameter"},
    {Cause::experts_used, "experts_used", "hyperparameter"},
};

constexpr const CauseInfo& cause_info(Cause cause) {
  return kCauseTable[static_cast<size_t>(cause)];
}
static_assert([] {
  for (size_t i = 0; i < std::size(kCauseTable); ++i) {
    if (static_cast<size_t>(kCauseTable[i].cause) != i) return false;
  }
  return true;
}());

}  // namespace crossval
