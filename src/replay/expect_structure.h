// What the architecture's row says of the operations of a layer: how many of each kind, what for,
// and by which factors values are multiplied on the way. Follows the blocks of arch/, as native's
// forward pass does (native/layer.cc), and says nothing of how an engine cuts them.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "arch/arch.h"
#include "arch/config.h"
#include "gguf/model_file.h"
#include "replay/structure_kinds.h"

namespace crossval {

struct OpCount {
  int least = 0, most = 0;         // engines may leave out what changes nothing
  std::vector<const char*> words;  // what they are for, each once
};

struct LayerStructure {
  std::array<OpCount, kOpKinds> ops;
  // Product of the factors that SCALE operations and the softmax of attention multiply by; 0 = not
  // known.
  double factor = 1;
  int n_masks = 0;              // softmaxes of attention, which see what a mask shows
  std::vector<float> softcaps;  // that TANH is behind
  std::vector<float> limits;    // of clamps, each once
  std::vector<int> n_used;      // of experts, for each mixture; none = there are none
  double summand = 0;           // that SCALE adds; 0 = none does
  // Whether the feed-forward part reads what the layer got, not what attention made of it. None
  // where the two have no norms of their own.
  std::optional<bool> is_parallel;
  // Rows of so many elements are made of length 1: by L2_NORM, or by RMS_NORM and a factor of 1
  // over the root of it, twice. 0 = none are.
  int unit_length = 0;
  bool is_known = true;  // false: no block says what is computed

  OpCount& of(OpKind kind) { return ops[static_cast<size_t>(kind)]; }
  const OpCount& of(OpKind kind) const { return ops[static_cast<size_t>(kind)]; }
};

// Of each layer, and behind them of what stands outside of the layers.
std::vector<LayerStructure> expected_structure(const ModelFile& model, const Arch& arch,
                                               const Config& config);

}  // namespace crossval
