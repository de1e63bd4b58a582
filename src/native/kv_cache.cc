#include "native/kv_cache.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <new>
#include <utility>

#include "base/error.h"

namespace crossval {
void KvCache::FreeDeleter::operator()(float* memory) const { std::free(memory); }

KvCache::KvCache(std::vector<int> n_kv_heads, int head_dim, KvType k_type, KvType v_type)
    : n_kv_heads_(std::move(n_kv_heads)),
      first_head_{0},
      head_dim_(head_dim),
      value_stride_((head_dim + kBlockLen - 1) / kBlockLen * kBlockLen),
      k_type_(k_type),
      v_type_(v_type) {
  for (const int n : n_kv_heads_) first_head_.push_back(first_head_.back() + n);
}

void KvCache::reset(int n_ctx) {
  n_ctx_ = (n_ctx + kBlockLen - 1) / kBlockLen * kBlockLen;
  const size_t n_positions = static_cast<size_t>(first_head_.back()) * static_cast<size_t>(n_ctx_);
  const auto allocate = [&](int width) {
    auto* memory = static_cast<float*>(
        std::calloc(n_positions * static_cast<size_t>(width) + 1, sizeof(float)));
    if (memory == nullptr) {
      bad_input("out_of_memory", "no memory for the key-value cache",
                std::to_string(n_ctx) + " positions", "use a shorter prompt or --max-tokens");
    }
    return Buffer(memory);
  };
  keys_.reset();
  values_.reset();
  keys_ = allocate(head_dim_);
  values_ = allocate(value_stride_);
}

void KvCache::append(int layer, int first_position, int n_tokens, const float* k, const float* v) {
  assert(first_position + n_tokens <= n_ctx_);
  const int n_heads = n_kv_heads(layer);
  const int width = n_heads * head_dim_;
  const auto dims = static_cast<size_t>(head_dim_);
  std::vector<float> key(dims), value(dims);
  for (int head = 0; head < n_heads; ++head) {
    const int64_t base = head_index(layer, head) * n_ctx_;
    float* key_out = keys_.get() + base * head_dim_;
    float* value_out = values_.get() + base * value_stride_;
    for (int token = 0; token < n_tokens; ++token) {
      const int position = first_position + token;
      const int64_t from = static_cast<int64_t>(token) * width + head * head_dim_;
      float* block = key_out + static_cast<int64_t>(position / kBlockLen) * head_dim_ * kBlockLen +
                     position % kBlockLen;
      float* value_row = value_out + static_cast<int64_t>(position) * value_stride_;
      std::copy_n(k + from, dims, key.begin());
      std::copy_n(v + from, dims, value.begin());
      round_to_kv_type(k_type_, key.data(), head_dim_);
      round_to_kv_type(v_type_, value.data(), head_dim_);
      for (size_t dim = 0; dim < dims; ++dim) {
        block[dim * kBlockLen] = key[dim];
        value_row[dim] = value[dim];
      }
    }
  }
}

const float* KvCache::keys(int layer, int kv_head) const {
  return keys_.get() + head_index(layer, kv_head) * n_ctx_ * head_dim_;
}

const float* KvCache::values(int layer, int kv_head) const {
  return values_.get() + head_index(layer, kv_head) * n_ctx_ * value_stride_;
}

}  // namespace crossval
