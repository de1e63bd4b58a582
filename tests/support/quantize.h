// Plain reference quantisers for test models: f32 rows to ggml's stored blocks. They follow the
// layouts of ggml/src/ggml-common.h; the choice of scales is simple, not the best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "gguf/types.h"

namespace crossval::testing {

// F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q6_K, and the ternary TQ1_0, TQ2_0, I2_S
// (x86 layout), IQ2_BN, which round to -1, 0, +1 times the mean magnitude of all values.
bool can_quantize(GgmlType type);

// `values` is whole rows of `row_len` (0 = one row), which is whole blocks of the type.
std::vector<std::byte> quantize(GgmlType type, std::span<const float> values, int64_t row_len = 0);

}  // namespace crossval::testing
