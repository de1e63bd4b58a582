// How a weight in one model file differs from the same weight in another, in words: scaled,
// permuted, another layer's, one code of one block. Compares what the weights stand for
// (dequantised), so that files of different quantisation can be compared too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "gguf/model_file.h"
#include "replay/cause_words.h"

namespace crossval {

struct WeightDifference {
  Cause cause = Cause::weights;
  std::string text;        // "row 17, block 3: 1 of 32 weights differs"
  int64_t n_values = 0;    // that differ
  int64_t first_row = -1;  // -1 = none in particular
};

// nullopt when every value is the same. `model` holds `ours` and the candidates that `theirs` may
// have been taken from; head_dim (0 = unknown) tells a permutation of heads from any other.
std::optional<WeightDifference> describe_difference(const TensorView& ours,
                                                    const TensorView& theirs,
                                                    const ModelFile& model, int head_dim);

}  // namespace crossval
