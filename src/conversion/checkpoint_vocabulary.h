// The vocabulary that a checkpoint's tokenizer files make, in the form in which a GGUF holds it.
// Source: llama.cpp conversion/base.py (get_vocab_base, _create_vocab_sentencepiece) and gguf-py
// gguf/vocab.py (LlamaHfVocab, SpecialVocab).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace crossval {

// As in tokenizer.ggml.token_type (gguf-py TokenType).
enum TokenType : int {
  kNormalToken = 1,
  kUnknownToken = 2,
  kControlToken = 3,
  kUserToken = 4,
  kUnusedToken = 5,
  kByteToken = 6,
};

struct ExpectedToken {
  bool is_known = false;  // false: no file says anything about this id
  std::string text = {};
  std::string other_text = {};  // right as well; "" = none
  int type = 0;                 // 0 = not known
  std::optional<float> score = {};
};

struct ExpectedVocabulary {
  std::string from;  // the file; "" = none that is read here
  std::vector<ExpectedToken> tokens;
  std::vector<std::string> merges;
  bool has_merges = false;
  std::map<std::string, int64_t> special_ids;  // by GGUF's key: "bos_token_id"
  std::optional<int64_t> end_of_text;          // right as eos_token_id too (HunYuan)
  std::map<std::string, bool> adds;            // "add_bos_token"
  std::optional<std::string> chat_template;
};

// `model`: tokenizer.ggml.model, which says how the files were read.
ExpectedVocabulary expected_vocabulary(const Checkpoint& checkpoint, const std::string& model);

}  // namespace crossval
