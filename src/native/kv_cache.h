// Keys and values of every position seen since the last reset, laid out for the attention kernels.
// Stored as f32; values of a cache of another type are rounded through it on the way in.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "native/kv_rounding.h"

namespace crossval {

// What a layer keeps of each position: heads of keys and as many of values, and their lengths.
struct KvShape {
  int n_heads = 0, key_len = 0, value_len = 0;
  int ratio = 0;  // behind all positions, one more entry for so many of them; 0 = none
};

class KvCache {
 public:
  // Positions that one block of keys holds side by side; also the lanes of the score kernel.
  static constexpr int kBlockLen = 16;

  // One shape for each layer.
  KvCache(const std::vector<KvShape>& shapes, KvType k_type, KvType v_type);

  // Room for n_ctx positions; forgets everything.
  void reset(int n_ctx);
  // k: [n_tokens, n_heads * key_len], v: the same of value_len, for positions first_position...
  void append(int layer, int first_position, int n_tokens, const float* k, const float* v);

  // Keys of one head, [n_blocks][key_len][kBlockLen]: element (position, dim) lies at
  // (position / kBlockLen * key_len + dim) * kBlockLen + position % kBlockLen.
  const float* keys(int layer, int kv_head) const;
  // Values of one head, [n_ctx][value_stride(layer)]: padded with zeros to whole lanes.
  const float* values(int layer, int kv_head) const;

  const KvShape& shape(int layer) const { return at(layer).shape; }
  int value_stride(int layer) const { return at(layer).value_stride; }
  int n_ctx() const { return n_ctx_; }
  // Where the entries for several positions begin (KvShape::ratio).
  int first_entry_behind() const { return n_ctx_; }
  KvType k_type() const { return k_type_; }
  KvType v_type() const { return v_type_; }

 private:
  struct FreeDeleter {
    void operator()(float* memory) const;
  };
  using Buffer = std::unique_ptr<float[], FreeDeleter>;  // calloc: untouched pages cost nothing

  struct Layer {
    KvShape shape;
    int value_stride = 0;
    int64_t n_entries = 0;
    int64_t first_key = 0, first_value = 0;  // floats before its own
  };
  const Layer& at(int layer) const { return layers_[static_cast<size_t>(layer)]; }
  int64_t key_offset(int layer, int kv_head) const {
    const Layer& one = at(layer);
    return one.first_key + int64_t{kv_head} * one.shape.key_len * one.n_entries;
  }
  int64_t value_offset(int layer, int kv_head) const {
    const Layer& one = at(layer);
    return one.first_value + int64_t{kv_head} * one.value_stride * one.n_entries;
  }

  std::vector<Layer> layers_;
  int n_ctx_ = 0;  // rounded up to whole blocks
  KvType k_type_, v_type_;
  Buffer keys_, values_;
};

}  // namespace crossval
