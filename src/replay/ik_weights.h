// Weights as ik_llama.cpp rounds them anew for 32 ids or more (IQ2_S: 16): blocks of 256 codes of 8
// bits with a half float, so that many ids meet the plainest kernel it has.
#pragma once

#include <cstddef>
#include <vector>

#include "base/parallel.h"
#include "quant/matmul.h"

namespace crossval {

// Does it do so to weights of this type? IQ1, IQ2 and IQ3 of all kinds. (It does to Q2_K, Q3_K,
// Q6_K and IQ4_XS too, in ways of their own, which are not replayed.)
bool ik_rounds_to_8_bits(GgmlType type);

// The same matrix so rounded; `stored` keeps its bytes.
WeightView ik_rounded_to_8_bits(const WeightView& w, std::vector<std::byte>& stored,
                                ThreadPool& pool);

}  // namespace crossval
