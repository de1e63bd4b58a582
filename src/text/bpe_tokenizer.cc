// Byte-level BPE: the merges and the pre-tokenizer's expressions run in Hugging Face `tokenizers`.

#include <fmt/format.h>

#include "base/error.h"
#include "text/fragments.h"
#include "text/gguf_tokenizer.h"
#include "text/hf_bridge.h"
#include "text/pieces.h"
#include "text/utf8.h"

namespace crossval {
namespace {

class BpeTokenizer : public Tokenizer {
 public:
  BpeTokenizer(Vocabulary vocabulary, const std::string& path)
      : vocabulary_(std::move(vocabulary)), path_(path), hf_(build(vocabulary_, path)) {}

  std::vector<int32_t> encode(const std::string& text, bool add_special,
                              bool parse_special) const override {
    std::vector<int32_t> ids;
    if (add_special) append_bos(vocabulary_.rules, path_, ids);
    for (const Fragment& fragment : split_special(text, vocabulary_, parse_special)) {
      if (fragment.token >= 0) {
        ids.push_back(fragment.token);
      } else {
        encode_text(fragment.text, ids);
      }
    }
    if (add_special) append_eos(vocabulary_.rules, path_, ids);
    return ids;
  }

  std::string piece(int32_t id) const override { return piece_of(vocabulary_, id); }
  int n_vocab() const override { return static_cast<int>(vocabulary_.tokens.size()); }
  const VocabRules& rules() const override { return vocabulary_.rules; }
  std::vector<std::string> warnings() const override { return vocabulary_.warnings; }
  std::string known_difference() const override {
    return std::string(vocabulary_.pre->known_difference);
  }

 private:
  static HfTokenizer build(Vocabulary& vocabulary, const std::string& path) {
    BpeConfig config;
    config.tokens = vocabulary.tokens;
    config.merges = vocabulary.merges;
    config.patterns = vocabulary.pre->patterns;
    config.ignore_merges = vocabulary.pre->ignore_merges;
    config.byte_level = vocabulary.pre->byte_level;
    size_t n_skipped = 0;
    try {
      HfTokenizer tokenizer = HfTokenizer::bpe(config, &n_skipped);
      if (n_skipped > 0) {
        vocabulary.warnings.push_back(
            fmt::format("{} of {} merges name a token that the vocabulary lacks; they are left out",
                        n_skipped, vocabulary.merges.size()));
      }
      vocabulary.merges = {};  // copied by the library
      return tokenizer;
    } catch (const HfError& e) {
      bad_input("bad_vocabulary", fmt::format("the vocabulary cannot be used: {}", e.what()), path,
                "convert the model again, or pass --tokenizer FILE");
    }
  }

  void encode_text(std::string_view text, std::vector<int32_t>& ids) const {
    std::string prepared;
    if (const auto repaired = repair_utf8(text)) {
      prepared = *repaired;
    } else {
      bad_input("bad_text",
                "the prompt holds a code point that is no character (a surrogate, or "
                "beyond U+10FFFF)",
                "prompt", "write the prompt as valid UTF-8");
    }
    if (vocabulary_.pre->escape_spaces) prepared = escape_spaces(prepared);
    if (vocabulary_.pre->whole_newline_runs) {
      encode_lines(prepared, ids);
    } else {
      append(prepared, ids);
    }
  }

  // Runs of newlines that are tokens of their own are looked up instead of merged.
  void encode_lines(std::string_view text, std::vector<int32_t>& ids) const {
    while (!text.empty()) {
      const size_t start = text.find('\n');
      append(text.substr(0, start), ids);
      if (start == std::string_view::npos) return;
      text.remove_prefix(start);
      const std::string_view run = text.substr(0, text.find_first_not_of('\n'));
      if (const int32_t id = vocabulary_.find(run); id >= 0) {
        ids.push_back(id);
      } else {
        append(run, ids);
      }
      text.remove_prefix(run.size());
    }
  }

  void append(std::string_view text, std::vector<int32_t>& ids) const {
    if (text.empty()) return;
    try {
      for (const int32_t id : hf_.encode(text, false)) {
        if (id < n_vocab()) ids.push_back(id);  // else: a byte the vocabulary has no token for
      }
    } catch (const HfError& e) {
      bad_input("bad_text", fmt::format("the prompt cannot be tokenised: {}", e.what()), "prompt",
                "give ids with --tokens");
    }
  }

  Vocabulary vocabulary_;
  std::string path_;
  HfTokenizer hf_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_bpe_tokenizer(Vocabulary vocabulary, const std::string& path) {
  return std::make_unique<BpeTokenizer>(std::move(vocabulary), path);
}

}  // namespace crossval
