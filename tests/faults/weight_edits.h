// Damage to stored weights, in whatever type they are stored: rows moved, zeroed or exchanged, one
// bit of one block's scale, one code of one block. All on ModelEdit's copy, done when it is
// written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "support/model_edit.h"

namespace crossval::testing {

int64_t n_rows(const ModelEdit& model, const std::string& name);
int64_t n_blocks(const ModelEdit& model, const std::string& name);

// New row i is old row order[i].
void permute_rows(ModelEdit& model, const std::string& name, std::vector<int64_t> order);
// The order in which a conversion writes the rows of Q or K for the other RoPE style
// (convert_hf_to_gguf.py, `permute`): halves of each head interleaved, or the reverse of it.
std::vector<int64_t> rope_permutation(int n_heads, int head_dim, bool interleave);
void swap_heads(ModelEdit& model, const std::string& name, int head_dim, int a, int b);
void zero_row(ModelEdit& model, const std::string& name, int64_t row);
void transpose(ModelEdit& model, const std::string& name);  // a square matrix of a float type
void add_to_all(ModelEdit& model, const std::string& name, float offset);      // F32
void negate_weight(ModelEdit& model, const std::string& name, int64_t index);  // float types
// Block formats: through their f16 scales, rounded. Float formats: every weight.
void scale_all(ModelEdit& model, const std::string& name, float factor);
void flip_scale_bit(ModelEdit& model, const std::string& name, int64_t block);  // the lowest one
// Mistakes of a converter or a repacking, over all of the tensor: has_simple_blocks(its type).
bool has_simple_blocks(GgmlType type);  // a scale (and minimum) before codes of 4 or 8 bits
void shift_scales(ModelEdit& model, const std::string& name);   // each block's to the next
void zero_behind(ModelEdit& model, const std::string& name);    // all blocks but the first
void reorder_codes(ModelEdit& model, const std::string& name);  // in each block
void change_code(ModelEdit& model, const std::string& name, int64_t block, int64_t which);
bool has_codes(GgmlType type);  // change_code and flip_scale_bit know it

}  // namespace crossval::testing
