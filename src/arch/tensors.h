// Which tensors an architecture calls for, with their shapes: what native binds, and what a file
// may hold beside.
#pragma once

#include <array>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "arch/config.h"
#include "gguf/model_file.h"

namespace crossval {

struct TensorSpec {
  Role role = Role::none;
  int layer = -1;                     // -1 = outside the layers
  int block = -1;                     // its number in names, where that is not the layer's
  std::array<int64_t, 3> shape = {};  // ne0, ne1, ne2; 0 = not so many dimensions
  bool required = true;
  bool is_linear = false;  // a matrix, or one for each expert, of a product: may have a scale
  bool uses_scale = true;  // and engines multiply by it whatever the matrix' type
  bool uses_bias = true;   // a bias beside it counts
  bool needs_bias = false;
  bool is_used = true;     // false: files have it, and engines leave it out
  bool is_bias = false;    // its name ends in ".bias" instead of ".weight"
  bool is_scales = false;  // or in ".scales" (MPT's activation)
  bool is_bare = false;    // or in nothing (PLaMo 3's norms)
  bool has_rows = false;   // a row for each of ne1 channels, though no product's
  bool is_table = false;   // of whole numbers (I32)
  bool any_shape = false;  // files may have its elements in other dimensions

  // "blk.3.attn_q" without ".weight"; and with it.
  std::string stem() const;
  std::string scale_name() const;
  std::string name() const {
    return stem() + (is_bare ? "" : is_bias ? ".bias" : is_scales ? ".scales" : ".weight");
  }
};

// Every tensor that the model needs or may have. Beside a spec stand, where the file has them, its
// bias (of ne1 elements, for a norm ne0) and its scale (one element, or one per expert).
std::vector<TensorSpec> tensors_of(const ModelFile& model, const Arch& arch, const Config& config);

// The names of all that a file may hold: those tensors, and what stands beside them.
std::set<std::string> known_tensors(const ModelFile& model, const Arch& arch, const Config& config);

}  // namespace crossval
