// Tells an engine with names of its own which weights of the model file its weights are, so that
// what it shows can be held against the file.
#pragma once

#include "engine/engine.h"
#include "gguf/model_file.h"

namespace crossval {

// Nothing to do for engines that use the file's names. Throws bad_input where the architecture's
// names in checkpoints are not known.
void name_weights(Engine& engine, const ModelFile& model);

}  // namespace crossval
