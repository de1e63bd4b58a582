// What two models' tokenizer metadata say differently: the likely cause when their ids differ.
#pragma once

#include <string>

#include "gguf/model_file.h"

namespace crossval {

// One sentence naming the single-valued tokenizer.ggml.* keys that differ; "" = none do.
std::string vocab_difference(const ModelFile& engine, const ModelFile& backend);

}  // namespace crossval
