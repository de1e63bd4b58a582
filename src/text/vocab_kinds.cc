// Defaults: llama.cpp, src/llama-vocab.cpp, llama_vocab::impl::load; what is added to a text and
// when: llama_vocab::impl::tokenize.

#include "text/vocab_kinds.h"

namespace crossval {
namespace {

constexpr VocabKindRow kKinds[] = {
    {.name = "gpt2", .kind = VocabKind::bpe, .bos_id = 11, .eos_id = 11},
    {.name = "llama",
     .kind = VocabKind::spm,
     .bos_id = 1,
     .eos_id = 2,
     .unknown_id = 0,
     .add_bos = true,
     .add_space_prefix = true},
    {.name = "gemma4", .kind = VocabKind::bpe},
    {.name = "t5", .kind = VocabKind::unigram, .eos_id = 1, .unknown_id = 2, .add_eos = true},
    // [CLS] in front and [SEP] behind; the key is spelled like this.
    {.name = "bert",
     .kind = VocabKind::wordpiece,
     .bos_id = 101,
     .eos_id = 102,
     .unknown_id = 100,
     .add_bos = true,
     .add_eos = true,
     .flags_fixed = true,
     .eos_key = "tokenizer.ggml.seperator_token_id"},
    {.name = "rwkv", .kind = VocabKind::rwkv, .flags_fixed = true},
    {.name = "plamo2",
     .kind = VocabKind::plamo2,
     .bos_id = 1,
     .eos_id = 2,
     .unknown_id = 0,
     .flags_fixed = true},
};

}  // namespace

const VocabKindRow* find_vocab_kind(std::string_view name) {
  for (const VocabKindRow& row : kKinds) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::string vocab_kind_names() {
  std::string names;
  for (const VocabKindRow& row : kKinds) {
    if (!names.empty()) names += ", ";
    names += row.name;
  }
  return names;
}

}  // namespace crossval
