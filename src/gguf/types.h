// ggml's tensor types: id, name, block length and block size. The one place they are listed.
#pragma once

#include <cstdint>
#include <string_view>

namespace crossval {

// Ids as stored in GGUF (ggml.h `enum ggml_type`).
enum class GgmlType : uint32_t {
  F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q8_1 = 9, Q2_K = 10,
  Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, Q8_K = 15, I8 = 24, I16 = 25, I32 = 26, I64 = 27,
  F64 = 28, BF16 = 30, TQ1_0 = 34, TQ2_0 = 35, I2_S = 36,
};

struct TypeInfo {
  GgmlType type;
  std::string_view name;  // ggml's own: "Q4_1"
  int block_len;          // weights in a block
  int block_bytes;
};

// nullptr when the id is not a type this program has heard of.
const TypeInfo* find_type(uint32_t id);

}  // namespace crossval
