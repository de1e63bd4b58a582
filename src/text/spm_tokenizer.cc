// `llama` vocabularies: adjacent symbols are merged, best score first, leftmost first among equals.
// That loop is SentencePiece's own (and the one llama.cpp's was ported from); it is given a model
// in which every token of the GGUF, whatever its type, is an ordinary piece, because llama.cpp
// looks merged text up in the whole vocabulary. Bytes and unknown characters are handled here.

#include <sentencepiece_processor.h>

#include "text/gguf_tokenizer.h"
#include "text/pieces.h"
#include "text/sentencepiece_model.h"
#include "text/utf8.h"

namespace crossval {
namespace {

class SpmTokenizer : public GgufTokenizer {
 public:
  SpmTokenizer(Vocabulary vocabulary, const std::string& path)
      : GgufTokenizer(std::move(vocabulary), path) {
    const auto status = processor_.LoadFromSerializedProto(
        sentencepiece_bpe_model(vocabulary_.tokens, vocabulary_.scores));
    if (!status.ok()) unusable(status.ToString());
    for (int byte = 0; byte < 256; ++byte) {
      int32_t id = vocabulary_.find(token_of_byte(static_cast<unsigned char>(byte)));
      if (id < 0) id = vocabulary_.find(std::string(1, static_cast<char>(byte)));
      byte_ids_[static_cast<size_t>(byte)] = id;
    }
  }

 private:
  void encode_text(std::string_view text, bool after_special,
                   std::vector<int32_t>& ids) const override {
    std::string prepared;
    if (vocabulary_.add_space_prefix && after_special) prepared = " ";
    prepared += text;
    encode_escaped(escape_spaces(prepared), ids);
  }

  // SentencePiece reads valid UTF-8. A broken character is a symbol of its own, as long as its lead
  // byte says, that no merge can join (llama.cpp, llm_tokenizer_spm_session::tokenize).
  void encode_escaped(std::string_view text, std::vector<int32_t>& ids) const {
    size_t start = 0, at = 0;
    while (at < text.size()) {
      const size_t valid = valid_character_length(text.substr(at));
      if (valid > 0) {
        at += valid;
        continue;
      }
      encode_valid(text.substr(start, at - start), ids);
      const std::string_view broken = text.substr(at, announced_length(text[at]));
      append_symbol(broken, ids);
      at += broken.size();
      start = at;
    }
    encode_valid(text.substr(start), ids);
  }

  void encode_valid(std::string_view text, std::vector<int32_t>& ids) const {
    if (text.empty()) return;
    const auto result = processor_.EncodeAsImmutableProto(text);
    const auto unknown = static_cast<int32_t>(vocabulary_.tokens.size());
    for (const auto& piece : result.pieces()) {
      const auto id = static_cast<int32_t>(piece.id());
      if (id < unknown) {
        ids.push_back(id);
      } else {
        append_symbol(piece.surface(), ids);
      }
    }
  }

  // A stretch that is no token: its bytes.
  void append_symbol(std::string_view symbol, std::vector<int32_t>& ids) const {
    if (const int32_t id = vocabulary_.find(symbol); id >= 0) {
      ids.push_back(id);
      return;
    }
    for (const char c : symbol) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte_ids_[byte] < 0) no_token_for(byte);
      ids.push_back(byte_ids_[byte]);
    }
  }

  sentencepiece::SentencePieceProcessor processor_;
  std::array<int32_t, 256> byte_ids_ = {};
};

}  // namespace

std::unique_ptr<Tokenizer> make_spm_tokenizer(Vocabulary vocabulary, const std::string& path) {
  return std::make_unique<SpmTokenizer>(std::move(vocabulary), path);
}

}  // namespace crossval
