// Small but complete vocabularies for test models: every byte can be written in them.
#pragma once

#include "gguf/writer.h"
#include "support/tiny_model.h"

namespace crossval::testing {

// Sets the tokenizer.ggml.* keys; returns the number of ids.
int set_tiny_vocabulary(GgufWriter& out, TinyVocabulary kind, bool add_bos);

}  // namespace crossval::testing
