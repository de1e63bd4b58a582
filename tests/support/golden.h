// What tests make again of inputs that a real engine was given once, and the hash of what it made
// of them: the same sequence and the same FNV-1a as in the programs that asked it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace crossval::testing {

class Numbers {
 public:
  uint32_t next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state_ >> 33);
  }

 private:
  uint64_t state_ = 42;
};

inline constexpr uint64_t kFnvStart = 14695981039346656037u;

inline uint64_t fnv(const void* data, size_t n, uint64_t hash = kFnvStart) {
  const auto* bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < n; ++i) hash = (hash ^ bytes[i]) * 1099511628211u;
  return hash;
}

}  // namespace crossval::testing
