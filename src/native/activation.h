// The functions between the matrices of a feed-forward part, and their product with `up`.
#pragma once

#include "arch/blocks.h"

namespace crossval {

// gate = act(gate) * up, or act(gate) where `up` is null. With `as_ggml`, gelu is read from a table
// of half floats, as ggml on x86 does to this day; else it is computed.
void activate(Act act, bool as_ggml, const float* up, int n, float* gate);

}  // namespace crossval
