// The pre-tokenizers of byte-level BPE vocabularies: what a GGUF's `tokenizer.ggml.pre` stands for.
// One table; an unknown name is the caller's Error.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace crossval {

struct PreTokenizer {
  std::string_view family;  // the published tokenizer the expressions were taken from
  // Applied one after the other, each to the pieces of the one before; matches are isolated.
  std::span<const std::string_view> patterns;
  bool ignore_merges = false;       // a whole piece that is a token is taken before any merge
  bool add_bos = false;             // default when tokenizer.ggml.add_bos_token is absent
  bool no_bos = false;              // the family has no BOS unless the metadata names one
  bool byte_level = true;           // GPT-2's byte alphabet; false: raw UTF-8, <0xNN> for the rest
  bool escape_spaces = false;       // " " becomes U+2581 first (SentencePiece-like BPE)
  bool whole_newline_runs = false;  // a run of newlines that is a token is not built from merges
  // How llama.cpp is known to split otherwise than the published expression; "" = alike. The hint
  // to give when ids differ.
  std::string_view known_difference;
};

// nullptr when the name is unknown. "" and "default" give llama.cpp's default.
const PreTokenizer* find_pre_tokenizer(std::string_view name);

// Every name known, comma-separated, for messages.
std::string pre_tokenizer_names();

}  // namespace crossval
