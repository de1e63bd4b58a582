// Two model files compared as files, before anything runs.
#pragma once

#include <optional>

#include "base/parallel.h"
#include "gguf/model_file.h"
#include "verdict/model_diff.h"

namespace crossval {

// Keys, tensors, vocabulary and template of the files that both sides read. Bytes are compared
// whatever the type of weights; types that quant/ decodes are compared by value where the files
// store a tensor otherwise. nullopt when nothing differs but the order.
std::optional<ModelDiff> compare_models(const ModelFile& engine, const ModelFile& backend,
                                        ThreadPool& pool);

}  // namespace crossval
