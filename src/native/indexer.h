// The keys by which indexers choose what a token sees (arch/blocks.h), of every position seen since
// the last reset.
#pragma once

#include <cstdint>
#include <vector>

#include "arch/config.h"

namespace crossval {

class IndexerKeys {
 public:
  // Forgets everything. Keeps keys where n_ctx positions are more than all tokens see.
  void reset(const Config& config, int n_ctx);
  // Whether some token sees less than all that came before.
  bool are_needed() const { return !keys_.empty(); }

  // [key_len]
  float* key(int layer, int position) {
    return keys_[static_cast<size_t>(layer)].data() + int64_t{position} * key_len_;
  }
  const float* key(int layer, int position) const {
    return keys_[static_cast<size_t>(layer)].data() + int64_t{position} * key_len_;
  }

 private:
  int key_len_ = 0;
  std::vector<std::vector<float>> keys_;  // by layer: [n_ctx, key_len]; empty without an indexer
};

}  // namespace crossval
