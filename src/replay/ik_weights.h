// Weights as ik_llama.cpp rounds them anew for many ids, so that these meet the plainest kernels it
// has: codes of 8 bits with a half float for each 256 or 32 of them, or half floats for scales and
// minima.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/parallel.h"
#include "quant/matmul.h"

namespace crossval {

struct IkConversion {
  const char* arithmetic;   // of the product, as product_arithmetic names it
  const char* activations;  // how these are rounded, whether weights are converted or not
  int64_t n_ids;            // from so many on
};

// What it does to weights of this type; null: nothing that changes a weight (Q4_0, Q4_1, Q5_0,
// Q5_1, Q8_0, IQ4_NL and MXFP4 keep every bit).
const IkConversion* find_ik_conversion(GgmlType type);

// The same matrix so rounded; `stored` keeps its bytes.
WeightView ik_converted(const WeightView& w, std::vector<std::byte>& stored, ThreadPool& pool);

}  // namespace crossval
