// Whether a file can be the language model that it says it is: asked before an engine starts, so
// that its own reason comes first and not an engine's last words.
#pragma once

#include "gguf/model_file.h"

namespace crossval {

// Throws bad_input: another kind of file, layers missing or too many, a key of a wrong type, fewer
// rows of the embedding than tokens, a token twice. Of architectures that native runs every tensor
// with its shape; of others what holds for all of them.
void check_model(const ModelFile& model);

}  // namespace crossval
