// The kinds of vocabulary a GGUF can hold (tokenizer.ggml.model), and what holds for each where the
// file says nothing.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace crossval {

enum class VocabKind { bpe, spm, unigram, wordpiece, rwkv, plamo2 };

struct VocabKindRow {
  std::string_view name;
  VocabKind kind;
  int32_t bos_id = -1, eos_id = -1, unknown_id = -1;  // -1 = none
  bool add_bos = false, add_eos = false, add_space_prefix = false;
  bool flags_fixed = false;  // the file's add_bos_token and add_eos_token change nothing
  std::string_view eos_key = "tokenizer.ggml.eos_token_id";  // names what is put at the end
};

// nullptr where the name is not known.
const VocabKindRow* find_vocab_kind(std::string_view name);
std::string vocab_kind_names();

}  // namespace crossval
