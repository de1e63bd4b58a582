// What the words of ggml_tensor::op_params mean, for the operations whose parameters make a model:
// positions are those of ggml.c (ggml_rope_impl, ggml_soft_max_impl, ggml_flash_attn_ext, ...), the
// same since 2024.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace crossval {

struct OpParameter {
  std::string_view op, name;
  size_t index;
  bool is_float;
};

// Of one operation, in order; empty for those that have none that matter.
std::span<const OpParameter> parameters_of(std::string_view op);

// "10000", "halves (neox)".
std::string parameter_text(const OpParameter& parameter, int32_t word);

}  // namespace crossval
