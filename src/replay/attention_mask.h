// What SOFT_MAX and FLASH_ATTN_EXT share: the slope of a head's position bias.
#pragma once

#include <cmath>
#include <cstdint>

namespace crossval {

// ALiBi (ggml-cpu/ops.cpp, `slope`): what the mask is multiplied with for head `h` of n_heads.
inline double alibi_slope(float max_bias, int64_t h, int64_t n_heads) {
  if (max_bias <= 0) return 1;
  const double log2 = std::floor(std::log2(static_cast<double>(n_heads)));
  const double n_log2 = std::exp2(log2);
  const auto head = static_cast<double>(h);
  if (head < n_log2) return std::pow(std::exp2(-double{max_bias} / n_log2), head + 1);
  return std::pow(std::exp2(-double{max_bias} / 2 / n_log2), 2 * (head - n_log2) + 1);
}

}  // namespace crossval
