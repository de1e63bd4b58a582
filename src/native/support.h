// Whether native can run a model, and if not, why: asked by `inspect` and before loading.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gguf/model_file.h"

namespace crossval {

// nullopt = supported; else one sentence: unknown architecture, a weight type without a reader,
// a metadata key whose meaning native does not implement.
std::optional<std::string> native_unsupported_reason(const ModelFile& model);

// The N of "blk.N."; -1 for tensors outside the layers.
int64_t layer_of_tensor(std::string_view name);

// Tensors that no result depends on, or that are read as part of another.
bool is_harmless_tensor(const ModelFile& model, std::string_view name);

}  // namespace crossval
