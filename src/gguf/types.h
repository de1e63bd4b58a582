// ggml's tensor types: id, name, block length and block size. The one place they are listed.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace crossval {

// Ids as stored in GGUF (ggml.h `enum ggml_type`; I2_S as microsoft/BitNet, all from 133 on as
// ikawrakow/ik_llama.cpp define them).
enum class GgmlType : uint32_t {
  // clang-format off
  F32 = 0, F16 = 1, Q4_0 = 2, Q4_1 = 3, Q5_0 = 6, Q5_1 = 7, Q8_0 = 8, Q8_1 = 9, Q2_K = 10,
  Q3_K = 11, Q4_K = 12, Q5_K = 13, Q6_K = 14, Q8_K = 15, IQ2_XXS = 16, IQ2_XS = 17, IQ3_XXS = 18,
  IQ1_S = 19, IQ4_NL = 20, IQ3_S = 21, IQ2_S = 22, IQ4_XS = 23, I8 = 24, I16 = 25, I32 = 26,
  I64 = 27, F64 = 28, IQ1_M = 29, BF16 = 30, TQ1_0 = 34, TQ2_0 = 35, I2_S = 36, TL1 = 38, MXFP4 = 39,
  NVFP4 = 40, Q1_0 = 41, Q2_0 = 42, Q6_0 = 133, IQ1_BN = 134, IQ2_BN = 135, IQ2_K = 137,
  IQ3_K = 138, IQ4_K = 139, IQ5_K = 140, IQ6_K = 141, IQ4_KS = 144, IQ2_KS = 145, IQ4_KSS = 146,
  IQ5_KS = 152, IQ3_KS = 156, IQ2_KL = 157, Q4_0_R8 = 202, Q5_0_R4 = 206, Q8_0_R8 = 208,
  Q2_K_R4 = 210, Q3_K_R4 = 211, Q4_K_R4 = 212, Q5_K_R4 = 213, Q6_K_R4 = 214, IQ2_XXS_R4 = 216,
  IQ2_XS_R4 = 217, IQ3_XXS_R4 = 218, IQ4_NL_R4 = 220, IQ3_S_R4 = 221, IQ2_S_R4 = 222,
  IQ4_XS_R8 = 223, Q6_0_R4 = 233, IQ2_BN_R4 = 335, IQ2_K_R4 = 337, IQ3_K_R4 = 338, IQ4_K_R4 = 339,
  IQ5_K_R4 = 340, IQ4_KS_R4 = 344, IQ5_KS_R4 = 352,
  TL2 = 0x80000027,  // 39 in files, as MXFP4 is: tl_layout.h
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
// nullopt when the row is not a whole number of blocks, or bytes or elements do not fit 63 bits.
std::optional<int64_t> tensor_bytes(GgmlType type, std::span<const int64_t> shape);

}  // namespace crossval
