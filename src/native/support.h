// Whether native can run a model, and if not, why: asked by `inspect` and before loading.
#pragma once

#include <optional>
#include <string>

#include "gguf/model_file.h"

namespace crossval {

// nullopt = supported; else one sentence: unknown architecture, a weight type without a reader,
// a metadata key whose meaning native does not implement.
std::optional<std::string> native_unsupported_reason(const ModelFile& model);

}  // namespace crossval
