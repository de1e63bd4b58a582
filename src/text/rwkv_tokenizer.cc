// `rwkv` vocabularies (the World tokenizer): tokens are bytes, written with escapes; at each place
// the longest one is taken. Nothing is added to a text (llama.cpp, llm_tokenizer_rwkv_session).

#include <fmt/format.h>

#include "text/gguf_tokenizer.h"
#include "text/pieces.h"
#include "text/token_search.h"

namespace crossval {
namespace {

class RwkvTokenizer : public GgufTokenizer {
 public:
  RwkvTokenizer(Vocabulary vocabulary, const std::string& path)
      : GgufTokenizer(std::move(vocabulary), path), search_(tokens()) {}

 private:
  std::vector<std::pair<std::string, int32_t>> tokens() const {
    std::vector<std::pair<std::string, int32_t>> out;
    out.reserve(vocabulary_.tokens.size());
    for (size_t id = 0; id < vocabulary_.tokens.size(); ++id) {
      auto bytes = unescape_bytes(vocabulary_.tokens[id]);
      if (!bytes) unusable(fmt::format("token {} ends amid an escape or escapes no byte", id));
      out.emplace_back(*std::move(bytes), static_cast<int32_t>(id));
    }
    return out;
  }

  void encode_text(std::string_view text, bool, std::vector<int32_t>& ids) const override {
    std::vector<TokenSearch::Match> matches;
    while (!text.empty()) {
      search_.prefixes_of(text, matches);
      size_t length = 1;
      int32_t id = vocabulary_.unknown_id;
      if (!matches.empty()) {
        length = matches.back().length;
        id = matches.back().id;
      } else if (id < 0 || search_.any_begins_with(text.front())) {
        // llama.cpp never comes back where longer tokens begin like this and none fits.
        no_token_for(static_cast<unsigned char>(text.front()));
      }
      ids.push_back(id);
      text.remove_prefix(length);
    }
  }

  TokenSearch search_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_rwkv_tokenizer(Vocabulary vocabulary, const std::string& path) {
  return std::make_unique<RwkvTokenizer>(std::move(vocabulary), path);
}

}  // namespace crossval
