// What becomes of f32 rows that an engine stores in another type (its KV cache).
#pragma once

#include <cstdint>

#include "gguf/types.h"

namespace crossval {

// The stored values (as floats again) of n floats, and for each how far rounding may take it: one
// step where a tie or a last bit decides. `variant` as in ReplayFunction; its name, or null when
// there is no such variant or type.
const char* store_row(GgmlType type, int variant, const float* x, int64_t n, float* values,
                      float* sigma);

}  // namespace crossval
