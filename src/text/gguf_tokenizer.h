// The tokenizers built from a GGUF's own vocabulary. All cut special tokens out first and add BOS
// and EOS by the vocabulary's rules; they differ in what they do with the text between.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/hf_bridge.h"
#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace crossval {

class GgufTokenizer : public Tokenizer {
 public:
  GgufTokenizer(Vocabulary vocabulary, const std::string& path)
      : vocabulary_(std::move(vocabulary)), path_(path) {}

  std::vector<int32_t> encode(const std::string& text, bool add_special,
                              bool parse_special) const final;
  std::string piece(int32_t id) const final;
  int n_vocab() const final { return static_cast<int>(vocabulary_.tokens.size()); }
  const VocabRules& rules() const final { return vocabulary_.rules; }
  std::vector<std::string> warnings() const final { return vocabulary_.warnings; }

 protected:
  // The ids of a stretch of text without special tokens, which is not empty. `after_special`: it is
  // the first, or a special token stands before it.
  virtual void encode_text(std::string_view text, bool after_special,
                           std::vector<int32_t>& ids) const = 0;

  // The text with U+FFFD for what is no character (repair_utf8); throws bad_input where it holds a
  // code point that is none.
  static std::string readable(std::string_view text);
  // As the library encodes it; throws bad_input where it cannot.
  static std::vector<int32_t> encode_by(const HfTokenizer& hf, std::string_view text);
  [[noreturn]] void unusable(std::string_view why) const;
  [[noreturn]] void no_token_for(unsigned char byte) const;

  Vocabulary vocabulary_;
  std::string path_;
};

// `gpt2`, `gemma4`: byte-pair encoding by merges, through Hugging Face `tokenizers`.
std::unique_ptr<Tokenizer> make_bpe_tokenizer(Vocabulary vocabulary, const std::string& path);

// `llama`: pairs merged by score, through SentencePiece.
std::unique_ptr<Tokenizer> make_spm_tokenizer(Vocabulary vocabulary, const std::string& path);

// `t5`: the best sequence by score, through `tokenizers`.
std::unique_ptr<Tokenizer> make_unigram_tokenizer(Vocabulary vocabulary, const std::string& path);

// `bert`: words, and the longest pieces of each from left to right, through `tokenizers`.
std::unique_ptr<Tokenizer> make_wordpiece_tokenizer(Vocabulary vocabulary, const std::string& path);

// `rwkv`: the longest token at each place.
std::unique_ptr<Tokenizer> make_rwkv_tokenizer(Vocabulary vocabulary, const std::string& path);

// `plamo2`: the best sequence by score, bytes where no token fits.
std::unique_ptr<Tokenizer> make_plamo2_tokenizer(Vocabulary vocabulary, const std::string& path);

// BOS or EOS by the rules; throws bad_input where the rules ask for one and the vocabulary has
// none.
void append_bos(const VocabRules& rules, const std::string& path, std::vector<int32_t>& ids);
void append_eos(const VocabRules& rules, const std::string& path, std::vector<int32_t>& ids);

}  // namespace crossval
