// `bert` vocabularies: all of it in Hugging Face `tokenizers` (rust/hf/src/pieces.rs).

#include "text/gguf_tokenizer.h"

namespace crossval {
namespace {

class WordPieceTokenizer : public GgufTokenizer {
 public:
  WordPieceTokenizer(Vocabulary vocabulary, const std::string& path)
      : GgufTokenizer(std::move(vocabulary), path), hf_(build()) {}

  std::string known_difference() const override {
    return "llama.cpp keeps only the first part of a character it takes apart (a Hangul syllable "
           "loses its vowel), drops all combining marks (BERT those without width), takes U+000B, "
           "U+000C and U+0085 for spaces, and has no limit of 100 characters a word; BERT's own "
           "rules are used here";
  }

 private:
  HfTokenizer build() const {
    try {
      return HfTokenizer::bert({vocabulary_.tokens, vocabulary_.unknown_id, vocabulary_.lowercase,
                                vocabulary_.strip_accents});
    } catch (const HfError& e) {
      unusable(e.what());
    }
  }

  void encode_text(std::string_view text, bool, std::vector<int32_t>& ids) const override {
    const auto more = encode_by(hf_, readable(text));
    ids.insert(ids.end(), more.begin(), more.end());
  }

  HfTokenizer hf_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_wordpiece_tokenizer(Vocabulary vocabulary,
                                                    const std::string& path) {
  return std::make_unique<WordPieceTokenizer>(std::move(vocabulary), path);
}

}  // namespace crossval
