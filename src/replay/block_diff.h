// How the stored blocks of two tensors of one quantised type differ: read from the bytes, which say
// more than the weights they stand for.
#pragma once

#include <optional>

#include "replay/weight_diff.h"

namespace crossval {

// Blocks that are all zero from one on, scales taken from a neighbouring block, codes in another
// order inside each block. nullopt where it is nothing of that, or where types or shapes differ.
// n_values is left 0.
std::optional<WeightDifference> describe_blocks(const TensorView& ours, const TensorView& theirs);

}  // namespace crossval
