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

// Where the text of a prompt comes from: a template, or the prompt as it is.
struct PromptTemplate {
  std::string name;    // "raw": there is none
  std::string source;  // Jinja
  std::string where;   // for errors
};

// `choice`: auto | raw | instruct | llama3-chat | chatml | ... | FILE.jinja (--prompt-template).
// Reads a file where one is named. Throws bad_input for an unknown name.
PromptTemplate find_template(const std::string& choice, const ModelFile& model);

// `system` may be empty. Throws bad_input for a template that fails. What a stranger's template
// does is bounded only in a process of its own: see text_process.h.
FormattedPrompt format_prompt(const PromptTemplate& chosen, const std::string& prompt,
                              const std::string& system, const Tokenizer& tokenizer);

// Names accepted beside auto and FILE.jinja (anything with a slash or ending in .jinja), for --help
// and validation.
const std::vector<std::string>& prompt_template_names();

}  // namespace crossval
