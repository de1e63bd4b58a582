// Which of the I2_S layouts of one size a trained model has, from its weights alone: how many
// weights of an input channel are not zero follows the norm weight of that channel, which is stored
// in its natural order. Only under the right layout do channels line up. Measured on a trained
// model rounded to ternary (SmolLM2-135M): evidence of 695 for the right layout against at most 38
// for others. Weights drawn at random show nothing, and then nothing is said.
#pragma once

#include <optional>
#include <vector>

#include "base/parallel.h"
#include "gguf/model_file.h"

namespace crossval {

struct I2sEvidence {
  I2sLayout layout;
  // How far rank correlations stand out over all tensors, in standard deviations of what chance
  // gives (0 on average).
  double evidence = 0;
};

// For the layouts of the x86 one's size that the model's shapes allow, the strongest first; empty
// where the model's tensors were turned (rows4), have another size or have no norms to look at.
std::vector<I2sEvidence> i2_s_evidence(const ModelFile& model, ThreadPool& pool);

// The first one where it is beyond chance and stands out from the others; nullopt: cannot be told.
std::optional<I2sLayout> i2_s_guess(const std::vector<I2sEvidence>& evidence);

}  // namespace crossval
