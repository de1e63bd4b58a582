// The k largest logits of a row, for top-1, top-k overlap and `run`'s list of candidates.
#pragma once

#include <span>
#include <vector>

#include "engine/top_row.h"

namespace crossval {

// Largest first; equal logits by the lower id first, as greedy samplers choose. NaN never enters.
std::vector<TopEntry> top_k(std::span<const float> row, int k);

// Share of ids that both lists hold, in 0..1; the longer list counts. 0 entries give 0.
double overlap(std::span<const TopEntry> a, std::span<const TopEntry> b);

}  // namespace crossval
