#include "engine/encode.h"

#include "base/error.h"

namespace crossval {

std::vector<TokenId> encode_with_options(const Tokenizer& tokenizer, const std::string& text,
                                         const TokenizeOptions& options) {
  const VocabRules& rules = tokenizer.rules();
  std::vector<TokenId> ids =
      tokenizer.encode(text, options.bos != BosMode::off, options.parse_special);
  if (options.bos == BosMode::on && !rules.add_bos) {
    if (rules.bos_id < 0) {
      bad_input("no_bos", "the vocabulary has no BOS token", "--bos on",
                "use --bos auto or --bos off");
    }
    ids.insert(ids.begin(), rules.bos_id);
  }
  return ids;
}

}  // namespace crossval
