// A tokenizer read from a file beside the model: tokenizer.json or a SentencePiece .model.
#pragma once

#include <memory>
#include <string>

#include "text/tokenizer.h"

namespace crossval {

// The kind is seen from the content. BOS/EOS rules come from the GGUF where it has them.
std::unique_ptr<Tokenizer> make_file_tokenizer(const std::string& path, const ModelFile& model);

}  // namespace crossval
