// Byte-level BPE: the merges and the pre-tokenizer's expressions run in Hugging Face `tokenizers`.

#include <fmt/format.h>

#include "text/gguf_tokenizer.h"
#include "text/hf_bridge.h"
#include "text/pieces.h"

namespace crossval {
namespace {

class BpeTokenizer : public GgufTokenizer {
 public:
  BpeTokenizer(Vocabulary vocabulary, const std::string& path)
      : GgufTokenizer(std::move(vocabulary), path), hf_(build()) {}

  std::string known_difference() const override {
    return std::string(vocabulary_.pre->known_difference);
  }

 private:
  HfTokenizer build() {
    BpeConfig config;
    config.tokens = vocabulary_.tokens;
    config.merges = vocabulary_.merges;
    config.patterns = vocabulary_.pre->patterns;
    config.ignore_merges = vocabulary_.pre->ignore_merges;
    config.byte_level = vocabulary_.pre->byte_level;
    size_t n_skipped = 0;
    try {
      HfTokenizer tokenizer = HfTokenizer::bpe(config, &n_skipped);
      if (n_skipped > 0) {
        vocabulary_.warnings.push_back(
            fmt::format("{} of {} merges name a token that the vocabulary lacks; they are left out",
                        n_skipped, vocabulary_.merges.size()));
      }
      vocabulary_.merges = {};  // copied by the library
      return tokenizer;
    } catch (const HfError& e) {
      unusable(e.what());
    }
  }

  void encode_text(std::string_view text, bool, std::vector<int32_t>& ids) const override {
    std::string prepared = readable(text);
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
    for (const int32_t id : encode_by(hf_, text)) {
      if (id < n_vocab()) ids.push_back(id);  // else: a byte the vocabulary has no token for
    }
  }

  HfTokenizer hf_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_bpe_tokenizer(Vocabulary vocabulary, const std::string& path) {
  return std::make_unique<BpeTokenizer>(std::move(vocabulary), path);
}

}  // namespace crossval
