// The libraries for vocabularies and templates are held in a process of their own, which is what
// these targets try: whatever it does there, this process ends with text or an Error.
#pragma once

#include <memory>
#include <span>
#include <string>

#include "gguf/model_file.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"
#include "target.h"
#include "text/text_process.h"

namespace crossval::fuzz {

class ConfinedText {
 public:
  ConfinedText() {
    testing::write_tiny_model(folder_.file("m.gguf"), {.n_layers = 1, .n_embd = 32, .n_ff = 32});
    model_ = ModelFile::open(folder_.file("m.gguf"));
  }
  // With the vocabulary in these bytes; none: the model's own.
  std::unique_ptr<TextProcess> open(const std::string& tokenizer_bytes) {
    if (tokenizer_bytes.empty()) return TextProcess::open(model_, "");
    testing::write_text(folder_.file("tokenizer.json"), tokenizer_bytes);
    return TextProcess::open(model_, folder_.file("tokenizer.json"));
  }
  // A prompt through the vocabulary in these bytes, and back.
  void encode_with(const std::string& tokenizer_bytes) {
    const auto tokenizer = open(tokenizer_bytes);
    for (const int32_t id : tokenizer->encode("aab <s>ab\xc3\xa9 12", true, true)) {
      tokenizer->piece(id);
    }
  }

 private:
  testing::TempDir folder_;
  std::shared_ptr<const ModelFile> model_;
};

// What a target of one kind of vocabulary does with its bytes.
inline int encode_or_refuse(const uint8_t* data, size_t size) {
  static ConfinedText text;
  read_or_refuse([&] { text.encode_with({reinterpret_cast<const char*>(data), size}); });
  return 0;
}

}  // namespace crossval::fuzz
