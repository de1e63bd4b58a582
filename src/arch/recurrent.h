// What recurrent blocks (SelectiveScan, ShortConv, GatedDeltaNet, ChannelDeltaNet,
// LightningAttention) read of the hyperparameters, and their tensors.
#pragma once

#include <vector>

#include "arch/config.h"
#include "arch/tensors.h"

namespace crossval {

// Into config.recurrent; throws bad_input where sizes are missing or do not fit each other.
void read_recurrent(const Keys& keys, const Arch& arch, Config& config);

// Appends the tensors of a branch's block; false where it is not a recurrent one.
bool list_recurrent(const ModelFile& model, const Branch& branch, const Config& config, int layer,
                    std::vector<TensorSpec>& out);

}  // namespace crossval
