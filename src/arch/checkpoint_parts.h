// How the elements of a GGUF tensor lie in the one of the checkpoint, by layout.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "arch/checkpoint_names.h"
#include "arch/checkpoint_table.h"

namespace crossval {

// A tensor as rows. A vector has one element a row, so that its elements may be reordered.
struct PartShape {
  int64_t n_cols = 1, n_rows = 1;
  int64_t n_experts = 1;  // that the rows part into
};

// Of a shape with ne0 first.
PartShape part_shape(const std::vector<int64_t>& shape);

// `name` has n_elements; nullopt where that does not fit.
std::optional<CheckpointSource> lay_out(NameLayout layout, const std::string& name,
                                        int64_t n_elements, const TensorSpec& spec, bool is_bias,
                                        const PartShape& shape, const CheckpointRow& row,
                                        const Config& config);

}  // namespace crossval
