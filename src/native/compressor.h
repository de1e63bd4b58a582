// One row for every so many positions: of each element the mean of the tokens' rows, weighted by
// the softmax of their scores (CompressedAttention). Source: llama.cpp src/models/deepseek4.cpp
// `build_hca_compressed_kv_from_state`, `build_overlap_compressed_kv_from_state`.
#pragma once

#include <cstddef>
#include <vector>

namespace crossval {

class Compressor {
 public:
  // One token's rows of values and scores, whose place among its block's is added already. Where
  // blocks overlap, their first halves count in the block that comes next, the second ones in their
  // own. True when the token ends a block, whose row is in `out`, of head_len elements.
  bool add(int position, int ratio, bool overlaps, int head_len, const float* values,
           const float* scores, float* out);

 private:
  std::vector<float> values_, scores_;  // of the last block's positions, or of the last two blocks'
};

}  // namespace crossval
