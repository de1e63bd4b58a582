// The token gate: both sides' ids of a prompt, and where they part first. Logits are only compared
// behind it.
#pragma once

#include <memory>

#include "backends/engine_ref.h"
#include "engine/engine.h"
#include "run/loaded_model.h"
#include "verdict/report.h"

namespace crossval {

// Who tokenises for a side.
struct Tokeniser {
  const EngineRef& ref;
  Engine* engine;  // null: built in, by the model's own vocabulary
};

// Fills report.tokens. An engine without a tokenizer takes the other side's ids, which the note
// says. `backend_model`: the file that the backend reads, where it is another; else null.
void gate_tokens(const LoadedModel& model, const ModelFile* backend_model,
                 const PreparedPrompt& prompt, const Tokeniser& engine, const Tokeniser& backend,
                 double& native_ms, Progress& progress, TokensReport& tokens);

}  // namespace crossval
