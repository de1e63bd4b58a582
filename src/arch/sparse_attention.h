// What indexers and compressed attention (arch/blocks.h) read of the hyperparameters, and their
// tensors.
#pragma once

#include <vector>

#include "arch/config.h"
#include "arch/tensors.h"

namespace crossval {

// Into config.indexer and what compressed attention has of its own; throws bad_input where sizes
// are missing or do not fit each other.
void read_sparse_attention(const Keys& keys, const Arch& arch, Config& config);

// Appends the tensors of a layer's indexer, and of compressed attention.
void list_indexer(Indexer::Kind kind, const Config& config, int layer,
                  std::vector<TensorSpec>& out);
void list_compressed(const ModelFile& model, const Config& config, int layer,
                     std::vector<TensorSpec>& out);

}  // namespace crossval
