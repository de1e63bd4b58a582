// The vocabulary inside a GGUF (tokenizer.ggml.*): tokens, what each is for, and the BOS/EOS rules,
// read as llama.cpp reads them (src/llama-vocab.cpp, llama_vocab::impl::load).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "gguf/model_file.h"
#include "text/pre_tokenizers.h"
#include "text/tokenizer.h"
#include "text/vocab_kinds.h"

namespace crossval {

// What a token is for; one may be several (include/llama.h, enum llama_token_attr).
enum TokenAttr : uint32_t {
  kTokenUnknown = 1 << 0,
  kTokenUnused = 1 << 1,
  kTokenNormal = 1 << 2,
  kTokenControl = 1 << 3,
  kTokenUserDefined = 1 << 4,
  kTokenByte = 1 << 5,
  kTokenLeftStrip = 1 << 6,   // whitespace before it is dropped
  kTokenRightStrip = 1 << 7,  // whitespace behind it is dropped
};

struct Vocabulary {
  Vocabulary() = default;
  Vocabulary(Vocabulary&&) = default;  // not copied: `ids` points into `tokens`
  Vocabulary& operator=(Vocabulary&&) = default;

  VocabKind kind = VocabKind::bpe;
  std::vector<std::string> tokens;
  std::vector<float> scores;                          // spm, unigram, plamo2; none is NaN
  std::vector<uint32_t> attrs;                        // TokenAttr bits
  std::unordered_map<std::string_view, int32_t> ids;  // views into `tokens`
  std::vector<int32_t> special;          // tokens looked for in the text, longest first
  std::vector<std::string_view> merges;  // bpe only; views into the mapped file
  const PreTokenizer* pre = nullptr;     // bpe only
  int32_t unknown_id = -1;               // what stands for text without a token; -1: none
  bool add_space_prefix = false;
  bool remove_extra_spaces = false;             // unigram only
  std::string charsmap;                         // unigram only: see text/charsmap.h
  bool lowercase = true, strip_accents = true;  // wordpiece only
  VocabRules rules;
  std::vector<std::string> warnings;

  int32_t find(std::string_view token) const;  // -1 when absent
};

// Throws bad_input when there is none, it is of an unsupported kind, or it contradicts itself.
Vocabulary read_vocabulary(const ModelFile& model);

}  // namespace crossval
