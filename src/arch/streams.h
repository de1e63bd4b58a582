// What hyper connections and what is added to their streams (Arch::hyper, Arch::ngrams) read of the
// hyperparameters, and their tensors.
#pragma once

#include <vector>

#include "arch/config.h"
#include "arch/tensors.h"

namespace crossval {

// Into config.hyper and config.ngrams; throws bad_input where sizes are missing or make no sense.
void read_streams_config(const Keys& keys, const Arch& arch, Config& config);

// Appends the tensors of what reads the streams outside the layers, of a layer, and of a branch.
void list_streams(const ModelFile& model, const Arch& arch, const Config& config,
                  std::vector<TensorSpec>& out);
void list_streams_of_layer(const Config& config, int layer, std::vector<TensorSpec>& out);
void list_streams_of_branch(const Arch& arch, const Branch& branch, const Config& config, int layer,
                            std::vector<TensorSpec>& out);

}  // namespace crossval
