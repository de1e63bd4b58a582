// Small vocabularies for the tests of tokenizers: written into a file, opened from it as a user's
// model is; and what the real engine makes of a text with them.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "gguf/writer.h"
#include "support/temp_dir.h"
#include "text/tokenizer.h"

namespace crossval::testing {

using Ids = std::vector<int32_t>;

struct Golden {
  bool special;  // both: add BOS and EOS, parse special tokens
  std::string text;
  Ids ids;
};

struct Piece {
  std::string text;
  float score;
  int32_t type = 1;  // normal
};

// Sets tokens, scores and types.
inline void set_pieces(GgufWriter& out, const std::vector<Piece>& pieces) {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  for (const Piece& piece : pieces) {
    tokens.push_back(piece.text);
    scores.push_back(piece.score);
    types.push_back(piece.type);
  }
  out.set_string_array("tokenizer.ggml.tokens", tokens);
  out.set_f32_array("tokenizer.ggml.scores", scores);
  out.set_i32_array("tokenizer.ggml.token_type", types);
}

inline std::unique_ptr<Tokenizer> open_tokenizer(const GgufWriter& out, const TempDir& dir) {
  out.write(dir.file("m.gguf"));
  return Tokenizer::from_gguf(*ModelFile::open(dir.file("m.gguf")));
}

// The code of the error, or "accepted".
inline std::string refusal(const GgufWriter& out, const TempDir& dir) {
  try {
    open_tokenizer(out, dir);
  } catch (const Error& e) {
    return e.code;
  }
  return "accepted";
}

}  // namespace crossval::testing
