// Which metadata keys engines compute with: a table of llama.cpp's hyperparameters with what is
// taken where a file has none. A key outside it is words (names, authors, a user's own) and never
// bears.
#pragma once

#include <string>
#include <string_view>

#include "gguf/model_file.h"

namespace crossval {

// Whether the two files' values of `key` (missing ones included) let engines compute something
// else. Both files' architecture is compared under its own key, general.architecture.
bool key_bears(std::string_view key, const ModelFile& engine, const ModelFile& backend);

// A number of metadata as text: nine digits tell every two f32 apart.
std::string metadata_number(double value);

}  // namespace crossval
