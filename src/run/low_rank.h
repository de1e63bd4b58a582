// Whether one tensor is another one plus a matrix of low rank: an adapter (LoRA, Hu et al. 2021,
// arXiv:2106.09685, W + B A) that was merged in.
#pragma once

#include <optional>

#include "quant/matmul.h"

namespace crossval {

// The rank of the move from one matrix to another of the same shape, over up to 256 of its rows:
// the number of directions that hold 95 % of it. nullopt where those are not few (more than a
// quarter of the rows looked at), or where most weights did not move at all: one damaged value is
// of rank 1 and no adapter.
std::optional<int> rank_of_move(const WeightView& from, const WeightView& to);

}  // namespace crossval
