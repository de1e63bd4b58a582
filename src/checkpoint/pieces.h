// The pieces of a SentencePiece model (tokenizer.model), read from its protobuf:
// google/sentencepiece src/sentencepiece_model.proto, ModelProto.pieces.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossval {

struct SentencePiece {
  std::string text;
  float score = 0;
  int type =
      1;  // as GGUF numbers them too: 1 normal, 2 unknown, 3 control, 4 user's, 5 unused, 6 byte
};

// nullopt where the bytes are no such model.
std::optional<std::vector<SentencePiece>> read_pieces(std::string_view model);

}  // namespace crossval
