// What embeddings of the latest ids (NgramConfig) remember of the tokens before, and work in.
#pragma once

#include <vector>

#include "engine/engine.h"
#include "native/rows.h"

namespace crossval {

struct NgramState {
  std::vector<TokenId> latest;  // oldest first; before the first token the id that ends all
  std::vector<float> history;   // the convolution's inputs, oldest first
  Rows embedding, key, query, value, gated, conv;

  void reset() {
    latest.clear();
    history.clear();
  }
};

}  // namespace crossval
