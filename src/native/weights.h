// A model's weights by role, bound to the tensors of the file by name with their shapes checked.
// Which roles there are is said by the architecture (arch/tensors.h).
#pragma once

#include <array>
#include <vector>

#include "arch/tensors.h"
#include "gguf/model_file.h"
#include "quant/matmul.h"

namespace crossval {

// A weight in f32 (norms, biases, scales); empty when the model has none.
using VectorWeight = std::vector<float>;

struct Weight {
  WeightView matrix;    // of a product; experts lie behind one another
  VectorWeight vector;  // of anything else
  VectorWeight bias;
  VectorWeight scale;  // one element, or one for each expert
  std::vector<int32_t> table;
  explicit operator bool() const { return matrix || !vector.empty() || !table.empty(); }
};

class WeightsByRole {
 public:
  const Weight& operator[](Role role) const { return weights_[static_cast<size_t>(role)]; }
  Weight& operator[](Role role) { return weights_[static_cast<size_t>(role)]; }

 private:
  std::array<Weight, kNRoles> weights_;
};

struct Weights {
  WeightsByRole outside;  // `output` is token_embd when tied
  std::vector<WeightsByRole> layers;
};

// Binds every weight; sets config.n_vocab. Throws bad_input naming the tensor that is missing or
// has another shape or type than expected. What the architecture has no use for is said in
// support.h.
Weights bind_weights(const ModelFile& model, const Arch& arch, Config& config);

// The matrix of one expert.
WeightView expert_matrix(const Weight& experts, int expert, int64_t n_rows);

}  // namespace crossval
