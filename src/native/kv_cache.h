// Keys and values of every position seen since the last reset, laid out for the attention kernels.
// Stored as f32; values of a cache of another type are rounded through it on the way in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/kv_rounding.h"

namespace crossval {

class KvCache {
 public:
  // Positions that one block of keys holds side by side; also the lanes of the score kernel.
  static constexpr int kBlockLen = 16;

  // Heads of keys (and values) in each layer.
  KvCache(std::vector<int> n_kv_heads, int head_dim, KvType k_type, KvType v_type);

  // Room for n_ctx positions; forgets everything.
  void reset(int n_ctx);
  // k, v: [n_tokens, n_kv_heads(layer) * head_dim], for positions first_position...
  void append(int layer, int first_position, int n_tokens, const float* k, const float* v);

  // Keys of one head, [n_blocks][head_dim][kBlockLen]: element (position, dim) lies at
  // (position / kBlockLen * head_dim + dim) * kBlockLen + position % kBlockLen.
  const float* keys(int layer, int kv_head) const;
  // Values of one head, [n_ctx][value_stride()]: padded with zeros to whole lanes.
  const float* values(int layer, int kv_head) const;

  int value_stride() const { return value_stride_; }
  int head_dim() const { return head_dim_; }
  int n_kv_heads(int layer) const { return n_kv_heads_[static_cast<size_t>(layer)]; }
  int n_ctx() const { return n_ctx_; }
  KvType k_type() const { return k_type_; }
  KvType v_type() const { return v_type_; }

 private:
  struct FreeDeleter {
    void operator()(float* memory) const;
  };
  using Buffer = std::unique_ptr<float[], FreeDeleter>;  // calloc: untouched pages cost nothing

  int64_t head_index(int layer, int kv_head) const {
    return first_head_[static_cast<size_t>(layer)] + kv_head;
  }

  std::vector<int> n_kv_heads_;      // by layer
  std::vector<int64_t> first_head_;  // by layer, and the number of all
  int head_dim_, value_stride_;
  int n_ctx_ = 0;  // rounded up to whole blocks
  KvType k_type_, v_type_;
  Buffer keys_, values_;
};

}  // namespace crossval
