// GGUF files that are no language model: adapters, projectors, importance matrices, vocabularies.
#pragma once

#include <optional>
#include <string>

#include "gguf/model_file.h"

namespace crossval {

struct OtherKind {
  std::string what, fix;  // "this is a LoRA adapter, not a model of its own"
};

// nullopt where the file may be a language model.
std::optional<OtherKind> other_kind(const ModelFile& model);

}  // namespace crossval
