// What the metadata of two model files says differently, and which of it bears on the logits.
#pragma once

#include <string>
#include <vector>

#include "gguf/model_file.h"
#include "verdict/model_diff.h"

namespace crossval {

// Every key with another value, but tokenizer.* and split.*. A key that one file leaves out and
// the other gives the value that engines assume then does not bear.
std::vector<KeyDifference> key_differences(const ModelFile& engine, const ModelFile& backend);

// In words, "" = the same: how many tokens, scores, merges, types, and the single values.
std::string vocabulary_words(const ModelFile& engine, const ModelFile& backend);
std::string template_words(const ModelFile& engine, const ModelFile& backend);

}  // namespace crossval
