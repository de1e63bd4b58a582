// Any bytes as a SentencePiece model: the prompt's ids, or an Error.
#include "confined_text.h"
#include "support/damage_protobuf.h"
#include "target.h"
#include "text/sentencepiece_model.h"

namespace crossval::fuzz {

Seed good_input() {
  const std::vector<std::string> tokens = {"a", "b", "aa", "ab", "<s>", " ", "aab"};
  const std::vector<float> scores = {-4, -4, -1, -2, 0, -5, -0.5f};
  return {.bytes = sentencepiece_bpe_model(tokens, scores), .damage = testing::damaged_protobuf};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return crossval::fuzz::encode_or_refuse(data, size);
}
