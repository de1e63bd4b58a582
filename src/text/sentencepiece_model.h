// A SentencePiece model (protobuf bytes) made from a list of tokens and scores.
#pragma once

#include <span>
#include <string>

namespace crossval {

// BPE over exactly these tokens (index = id), all ordinary; id tokens.size() is the unknown piece.
// Text is taken as it is: no normalisation, no space put in front, no escaping.
std::string sentencepiece_bpe_model(std::span<const std::string> tokens,
                                    std::span<const float> scores);

}  // namespace crossval
