#include "native/kv_cache.h"

#include <algorithm>
#include <cassert>
#include <cstdlib>
#include <new>

#include "base/error.h"

namespace crossval {
void KvCache::FreeDeleter::operator()(float* memory) const { std::free(memory); }

KvCache::KvCache(const std::vector<KvShape>& shapes, KvType k_type, KvType v_type)
    : k_type_(k_type), v_type_(v_type) {
  for (const KvShape& shape : shapes) {
    const int stride = (shape.value_len + kBlockLen - 1) / kBlockLen * kBlockLen;
    layers_.push_back({shape, stride, key_width_, value_width_});
    key_width_ += int64_t{shape.n_heads} * shape.key_len;
    value_width_ += int64_t{shape.n_heads} * stride;
  }
}

void KvCache::reset(int n_ctx) {
  n_ctx_ = (n_ctx + kBlockLen - 1) / kBlockLen * kBlockLen;
  const auto allocate = [&](int64_t width) {
    auto* memory = static_cast<float*>(
        std::calloc(static_cast<size_t>(width) * static_cast<size_t>(n_ctx_) + 1, sizeof(float)));
    if (memory == nullptr) {
      bad_input("out_of_memory", "no memory for the key-value cache",
                std::to_string(n_ctx) + " positions", "use a shorter prompt or --max-tokens");
    }
    return Buffer(memory);
  };
  keys_.reset();
  values_.reset();
  keys_ = allocate(key_width_);
  values_ = allocate(value_width_);
}

void KvCache::append(int layer, int first_position, int n_tokens, const float* k, const float* v) {
  assert(first_position + n_tokens <= n_ctx_);
  const auto [n_heads, key_len, value_len] = shape(layer);
  std::vector<float> key(static_cast<size_t>(key_len)), value(static_cast<size_t>(value_len));
  for (int head = 0; head < n_heads; ++head) {
    float* key_out = keys_.get() + key_offset(layer, head);
    float* value_out = values_.get() + value_offset(layer, head);
    for (int token = 0; token < n_tokens; ++token) {
      const int position = first_position + token;
      const int64_t from = static_cast<int64_t>(token) * n_heads + head;
      float* block = key_out + static_cast<int64_t>(position / kBlockLen) * key_len * kBlockLen +
                     position % kBlockLen;
      std::copy_n(k + from * key_len, key_len, key.begin());
      std::copy_n(v + from * value_len, value_len, value.begin());
      round_to_kv_type(k_type_, key.data(), key_len);
      round_to_kv_type(v_type_, value.data(), value_len);
      for (size_t dim = 0; dim < key.size(); ++dim) block[dim * kBlockLen] = key[dim];
      std::ranges::copy(value, value_out + static_cast<int64_t>(position) * value_stride(layer));
    }
  }
}

const float* KvCache::keys(int layer, int kv_head) const {
  return keys_.get() + key_offset(layer, kv_head);
}

const float* KvCache::values(int layer, int kv_head) const {
  return values_.get() + value_offset(layer, kv_head);
}

}  // namespace crossval
