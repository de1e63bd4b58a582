// Any bytes as a file of prompts, and as a list of ids.
#include "run/prompt_source.h"
#include "support/damage_json.h"
#include "target.h"

namespace crossval::fuzz {

Seed good_input() {
  return {.bytes =
              "{\"prompt\": \"a \\u00e9\"}\n{\"tokens\": [1, 2, 3]}\n{\"prompt\": \"\", \"name\": "
              "{\"a\": "
              "[1]}}\n",
          .damage = testing::damaged_json_lines};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  const fuzz::MemoryFile file({data, size});
  PromptOptions prompts, ids;
  prompts.prompts_file = file.path();
  ids.tokens_file = file.path();
  ids.has_tokens = true;
  for (const PromptOptions& options : {prompts, ids}) {
    fuzz::read_or_refuse([&] { read_prompts(options); });
  }
  return 0;
}
