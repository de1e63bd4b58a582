// An engine that reads the checkpoint a file was made from computes with weights that the file has
// rounded: how far that may move a result.
#pragma once

#include "replay/matmul.h"

namespace crossval {

// The error that a weight's type makes of a value, as it is (root mean square) where values spread
// as weights do: of each weight of a row. `row` = its values, dequantised.
void weight_errors(const Format& format, const float* row, int64_t n, float* errors);

// Adds to sigma what rounded weights make of the product.
void add_weight_rounding(const Product& product, ThreadPool& pool);

}  // namespace crossval
