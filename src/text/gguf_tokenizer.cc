#include "text/gguf_tokenizer.h"

#include <fmt/format.h>

#include "base/error.h"
#include "text/fragments.h"
#include "text/pieces.h"
#include "text/utf8.h"

namespace crossval {

std::vector<int32_t> GgufTokenizer::encode(const std::string& text, bool add_special,
                                           bool parse_special) const {
  std::vector<int32_t> ids;
  if (add_special) append_bos(vocabulary_.rules, path_, ids);
  bool after_special = true;
  for (const Fragment& fragment : split_special(text, vocabulary_, parse_special)) {
    if (fragment.token >= 0) {
      ids.push_back(fragment.token);
    } else {
      encode_text(fragment.text, after_special, ids);
    }
    after_special = fragment.token >= 0;
  }
  if (add_special) append_eos(vocabulary_.rules, path_, ids);
  return ids;
}

std::string GgufTokenizer::piece(int32_t id) const { return piece_of(vocabulary_, id); }

std::string GgufTokenizer::readable(std::string_view text) {
  auto repaired = repair_utf8(text);
  if (!repaired) {
    bad_input("bad_text",
              "the prompt holds a code point that is no character (a surrogate, or "
              "beyond U+10FFFF)",
              "prompt", "write the prompt as valid UTF-8");
  }
  return *std::move(repaired);
}

std::vector<int32_t> GgufTokenizer::encode_by(const HfTokenizer& hf, std::string_view text) {
  if (text.empty()) return {};
  try {
    return hf.encode(text, false);
  } catch (const HfError& e) {
    bad_input("bad_text", fmt::format("the prompt cannot be tokenised: {}", e.what()), "prompt",
              "give ids with --tokens");
  }
}

void GgufTokenizer::unusable(std::string_view why) const {
  bad_input("bad_vocabulary", fmt::format("the vocabulary cannot be used: {}", why), path_,
            "convert the model again, or pass --tokenizer FILE");
}

void GgufTokenizer::no_token_for(unsigned char byte) const {
  bad_input("bad_vocabulary",
            fmt::format("the vocabulary has no token for byte 0x{:02X} of the prompt", byte), path_,
            "convert the model again, or pass --tokenizer FILE");
}

}  // namespace crossval
