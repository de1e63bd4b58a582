// Prompt templates: the GGUF's own chat template, built-in ones by name, or a Jinja file.
#pragma once

#include <string>
#include <vector>

#include "gguf/model_file.h"
#include "text/tokenizer.h"

namespace crossval {

struct FormattedPrompt {
  std::string template_name;     // what was used: "raw", "chatml", "gguf", or the file's path
  std::string text;              // what is to be tokenised
  bool starts_with_bos = false;  // the template already wrote BOS: it must not be added again
};

// `choice`: auto | raw | instruct | llama3-chat | chatml | ... | FILE.jinja (--prompt-template).
// `system` may be empty. Throws bad_input for an unknown name or a template that fails.
FormattedPrompt format_prompt(const std::string& choice, const std::string& prompt,
                              const std::string& system, const ModelFile& model,
                              const Tokenizer& tokenizer);

// Names accepted beside auto and FILE.jinja (anything with a slash or ending in .jinja), for --help
// and validation.
const std::vector<std::string>& prompt_template_names();

}  // namespace crossval
