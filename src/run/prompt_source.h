// Where the prompts come from: --prompt, --prompt-file, --tokens, --tokens-file or --prompts.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "run/plan.h"

namespace crossval {

struct PromptInput {
  std::string text;                         // when ids is not set
  std::optional<std::vector<TokenId>> ids;  // given as ids: no tokenisation, no template
  int number = 0;                           // of a line of --prompts, from 1; 0 = the only prompt
};

// Throws bad_input for an unreadable file, ids that are no numbers, or a line that is no prompt.
std::vector<PromptInput> read_prompts(const PromptOptions& options);

}  // namespace crossval
