// Where the prompts come from: --prompt, --prompt-file, --tokens, --tokens-file or --prompts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "run/plan.h"
#include "engine/engine.h"

namespace crossval {

struct PromptInput {
  std::string text;                         // when ids is not set
  std::optional<std::vector<TokenId>> ids;  // given as ids: no tokenisation, no template
};

// Throws bad_input for an unreadable file, ids that are no numbers, or a line that is no prompt.
std::vector<PromptInput> read_prompts(const PromptOptions& options);

}  // namespace crossval
