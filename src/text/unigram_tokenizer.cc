// `t5` vocabularies (SentencePiece's Unigram: T5, XLM-R and what came of it). The search for the
// best sequence is that of Hugging Face `tokenizers`, whose scores are doubles (llama.cpp's are
// too, SentencePiece's are floats). The text is prepared here, as SentencePiece does it
// (src/normalizer.cc, Normalize): by the model's map, then spaces.

#include <stdexcept>

#include "text/charsmap.h"
#include "text/gguf_tokenizer.h"
#include "text/pieces.h"

namespace crossval {
namespace {

// The library's tree of tokens is taken down by recursion. The longest of XLM-R has 48 bytes.
constexpr size_t kLongestToken = 1024;

class UnigramTokenizer : public GgufTokenizer {
 public:
  UnigramTokenizer(Vocabulary vocabulary, const std::string& path)
      : GgufTokenizer(std::move(vocabulary), path), hf_(build()) {
    find_differences();
    if (vocabulary_.charsmap.empty()) return;
    auto map = Charsmap::parse(vocabulary_.charsmap);
    if (!map) unusable("the sizes in tokenizer.ggml.precompiled_charsmap contradict each other");
    charsmap_ = *std::move(map);
    vocabulary_.charsmap = {};
  }

  std::string known_difference() const override { return known_difference_; }

 private:
  // Only ordinary, user-defined and unused tokens come out of text; a user-defined one counts as
  // certain (llama.cpp, llm_tokenizer_ugm).
  HfTokenizer build() const {
    std::vector<std::string> tokens(vocabulary_.tokens.size());
    std::vector<float> scores(tokens.size(), 0.0f);
    for (size_t id = 0; id < tokens.size(); ++id) {
      const uint32_t attrs = vocabulary_.attrs[id];
      if (!(attrs & (kTokenNormal | kTokenUserDefined | kTokenUnused))) continue;
      if (vocabulary_.tokens[id].size() > kLongestToken)
        unusable("a token is longer than 1024 bytes");
      tokens[id] = vocabulary_.tokens[id];
      scores[id] = attrs & kTokenUserDefined ? 0.0f : vocabulary_.scores[id];
    }
    try {
      return HfTokenizer::unigram({tokens, scores, vocabulary_.unknown_id});
    } catch (const HfError& e) {
      unusable(e.what());
    }
  }

  void find_differences() {
    if (vocabulary_.add_space_prefix != vocabulary_.remove_extra_spaces) {
      known_difference_ =
          "where only one of add_space_prefix and remove_extra_whitespaces is set, llama.cpp puts "
          "the space in front by other rules than SentencePiece, whose rules are used here";
    }
    for (const uint32_t attrs : vocabulary_.attrs) {
      if (!(attrs & kTokenUserDefined)) continue;
      if (!known_difference_.empty()) known_difference_ += "; ";
      known_difference_ +=
          "llama.cpp takes the bytes with which a user-defined token begins as they are, even "
          "half a character, where the rest of that token does not follow; SentencePiece, whose "
          "rules are used here, does not";
      return;
    }
  }

  void encode_text(std::string_view text, bool, std::vector<int32_t>& ids) const override {
    const auto more = encode_by(hf_, escape_spaces(prepared(text)));
    ids.insert(ids.end(), more.begin(), more.end());
  }

  std::string prepared(std::string_view text) const {
    const std::string normal = normalised(text);
    std::string out;
    bool after_space = true;  // a run of spaces is one; none in front, none behind
    for (const char c : normal) {
      if (vocabulary_.remove_extra_spaces && c == ' ' && after_space) continue;
      after_space = c == ' ';
      out.push_back(c);
    }
    while (vocabulary_.remove_extra_spaces && out.ends_with(' ')) out.pop_back();
    if (vocabulary_.add_space_prefix && !out.empty()) out.insert(out.begin(), ' ');
    return out;
  }

  std::string normalised(std::string_view text) const {
    try {
      return charsmap_.apply(text);
    } catch (const std::out_of_range&) {
      unusable("tokenizer.ggml.precompiled_charsmap points outside itself");
    }
  }

  Charsmap charsmap_;
  std::string known_difference_;
  HfTokenizer hf_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_unigram_tokenizer(Vocabulary vocabulary, const std::string& path) {
  return std::make_unique<UnigramTokenizer>(std::move(vocabulary), path);
}

}  // namespace crossval
