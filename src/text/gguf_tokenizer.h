// The two tokenizers built from a GGUF's own vocabulary. Both cut special tokens out first and add
// BOS and EOS by the vocabulary's rules; they differ in what they do with the text between.
#pragma once

#include <memory>

#include "text/tokenizer.h"
#include "text/vocabulary.h"

namespace crossval {

// `gpt2`, `gemma4`: byte-pair encoding by merges, through Hugging Face `tokenizers`.
std::unique_ptr<Tokenizer> make_bpe_tokenizer(Vocabulary vocabulary, const std::string& path);

// `llama`: pairs merged by score, through SentencePiece.
std::unique_ptr<Tokenizer> make_spm_tokenizer(Vocabulary vocabulary, const std::string& path);

// BOS or EOS by the rules; throws bad_input where the rules ask for one and the vocabulary has
// none.
void append_bos(const VocabRules& rules, const std::string& path, std::vector<int32_t>& ids);
void append_eos(const VocabRules& rules, const std::string& path, std::vector<int32_t>& ids);

}  // namespace crossval
