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
    layers_.push_back({.shape = shape, .value_stride = stride});
  }
}

void KvCache::reset(int n_ctx) {
  const auto whole_blocks = [](int n) { return (n + kBlockLen - 1) / kBlockLen * kBlockLen; };
  n_ctx_ = whole_blocks(n_ctx);
  int64_t n_keys = 0, n_values = 0;
  for (Layer& layer : layers_) {
    const KvShape& shape = layer.shape;
    layer.n_entries = n_ctx_;
    if (shape.ratio > 0) layer.n_entries += whole_blocks(n_ctx / shape.ratio);
    layer.first_key = n_keys;
    layer.first_value = n_values;
    n_keys += layer.n_entries * shape.n_heads * shape.key_len;
    n_values += layer.n_entries * shape.n_heads * layer.value_stride;
  }
  const auto allocate = [&](int64_t n) {
    auto* memory = static_cast<float*>(std::calloc(static_cast<size_t>(n) + 1, sizeof(float)));
    if (memory == nullptr) {
      bad_input("out_of_memory", "no memory for the key-value cache",
                std::to_string(n_ctx) + " positions", "use a shorter prompt or --max-tokens");
    }
    return Buffer(memory);
  };
  keys_.reset();
  values_.reset();
  keys_ = allocate(n_keys);
  values_ = allocate(n_values);
}

void KvCache::append(int layer, int first_position, int n_tokens, const float* k, const float* v) {
  assert(first_position + n_tokens <= at(layer).n_entries);
  const int n_heads = shape(layer).n_heads;
  const int key_len = shape(layer).key_len, value_len = shape(layer).value_len;
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
