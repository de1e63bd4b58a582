// ggml's tensor types: id, name, block length and block size. The one place they are listed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace crossval {

// Ids as stored in GGUF (ggml.h `enum ggml_type`; I2_S as microsoft/BitNet, IQ2_BN as
// ikawrakow/ik_llama.cpp define them).
enum class GgmlType : uint32_t {
  // clang-format off
  F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q8_1 = 9, Q2_K = 10,
  Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, Q8_K = 15, IQ2_XXS = 16, IQ2_XS = 17, IQ3_XXS = 18,
  IQ1_S = 19, IQ4_NL = 20, IQ3_S = 21, IQ2_S = 22, IQ4_XS = 23, I8 = 24, I16 = 25, I32 = 26,
  I64 = 27, F64 = 28, IQ1_M = 29, BF16 = 30, TQ1_0 = 34, TQ2_0 = 35, I2_S = 36, MXFP4 = 39,
  NVFP4 = 40, Q1_0 = 41, Q2_0 = 42, IQ2_BN = 135,
  // clang-format on
};

struct TypeInfo {
  GgmlType type;
  std::string_view name;  // ggml's own: "Q4_1"
  int block_len;          // weights in a block; a row is a whole number of blocks
  int block_bytes;
  int row_extra_bytes = 0;     // stored once per row beside the blocks (a row scale)
  int tensor_extra_bytes = 0;  // stored once per tensor behind all rows (I2_S: scale and padding)
};

// nullptr when the id is not a type this program has heard of.
const TypeInfo* find_type(uint32_t id);
inline const TypeInfo* find_type(GgmlType type) { return find_type(static_cast<uint32_t>(type)); }
const TypeInfo* find_type_by_name(std::string_view name);  // "q4_1" or "Q4_1"
std::span<const TypeInfo> all_types();

// For ids that ggml once used and took out of its files: what to do instead; "" for others.
std::string_view removed_type_advice(uint32_t id);

// "Q4_1"; "type 99" is never needed because unknown types do not get past the reader.
std::string_view type_name(GgmlType type);

// Bytes a tensor of this type and shape (ggml order, shape[0] = row length) takes in a file;
// nullopt when the row is not a whole number of blocks or the size does not fit 63 bits.
std::optional<int64_t> tensor_bytes(GgmlType type, std::span<const int64_t> shape);

}  // namespace crossval
