// Stands in where a vocabulary cannot be read: ids need none. Pieces are the ids themselves.
#pragma once

#include <memory>

#include "base/error.h"
#include "text/tokenizer.h"

namespace crossval {

// `reason`: why the vocabulary cannot be read; thrown as soon as text is to be tokenised.
std::unique_ptr<Tokenizer> make_ids_tokenizer(const ModelFile& model, Error reason);

}  // namespace crossval
