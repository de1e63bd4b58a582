// Text to ids and back, by our own reading of the vocabulary inside a GGUF (or of a tokenizer.json
// or SentencePiece .model beside it). Stands on Hugging Face `tokenizers`, not on any ggml code.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "gguf/model_file.h"

namespace crossval {

// BOS/EOS and special-token rules as the metadata gives them (tokenizer.ggml.*).
struct VocabRules {
  int32_t bos_id = -1, eos_id = -1;  // -1 = none
  bool add_bos = false, add_eos = false;
  std::string model;  // tokenizer.ggml.model: "gpt2", "llama", ...
  std::string pre;    // tokenizer.ggml.pre, "" when absent
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Built from the GGUF's metadata. Throws bad_input when the vocabulary cannot be read.
  static std::unique_ptr<Tokenizer> from_gguf(const ModelFile& model);
  // The same, but a vocabulary that cannot be read is one of ids alone: require_text() says why.
  static std::unique_ptr<Tokenizer> from_gguf_or_ids(const ModelFile& model);
  // From a tokenizer.json or a SentencePiece .model; the BOS rules still come from the GGUF.
  static std::unique_ptr<Tokenizer> from_file(const std::string& path, const ModelFile& model);

  // add_special: add BOS/EOS as rules() says. parse_special: special tokens written in the text
  // become their ids.
  virtual std::vector<int32_t> encode(const std::string& text, bool add_special,
                                      bool parse_special) const = 0;
  // The bytes the id stands for; special tokens as written in the vocabulary; "" out of range.
  virtual std::string piece(int32_t id) const = 0;
  // Throws bad_input where this one only knows ids.
  virtual void require_text() const {}
  virtual int n_vocab() const = 0;
  virtual const VocabRules& rules() const = 0;
  // What the user should know about this vocabulary (a missing pre-tokenizer name, ...), a line
  // each.
  virtual std::vector<std::string> warnings() const { return {}; }
  // How llama.cpp is known to tokenise otherwise with such a vocabulary: the hint to give when ids
  // differ; "" = no known difference.
  virtual std::string known_difference() const { return ""; }
};

}  // namespace crossval
