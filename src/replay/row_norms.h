// How large the terms are that a matrix row contributes to a product: what rounding errors of the
// product are measured against.
#pragma once

#include <vector>

#include "base/parallel.h"
#include "quant/matmul.h"

namespace crossval {

// One per row: the L2 norm of the row's weights, in the form that is summed: codes times scale and,
// apart, the minimums or what lifts codes (an engine adds both up separately, and they may cancel).
std::vector<float> row_norms(const WeightView& w, ThreadPool& pool);

// sqrt(sum of squares), in double.
double norm(const float* x, int64_t n);

}  // namespace crossval
