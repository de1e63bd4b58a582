#include "gguf/types.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <cctype>

#include "base/bytes.h"

namespace crossval {
namespace {

// Block sizes: ggml/src/ggml-common.h of llama.cpp (the sizeof static_asserts of each block_*);
// I2_S: 2 bits a weight, then one f32 scale and 28 bytes of padding for the tensor
// (microsoft/BitNet, 3rdparty/llama.cpp ggml_nbytes); from Q6_0 on: ikawrakow/ik_llama.cpp, ggml's
// ggml-common.h and ggml.c, `type_size` and `row_meta_size` (a scale for the row). Its _R4 and _R8
// are rows of the type without that ending, 4 or 8 of them interleaved.
constexpr std::array kTypes = {
    TypeInfo{GgmlType::F32, "F32", 1, 4},
    TypeInfo{GgmlType::F16, "F16", 1, 2},
    TypeInfo{GgmlType::Q4_0, "Q4_0", 32, 2 + 16},
    TypeInfo{GgmlType::Q4_1, "Q4_1", 32, 2 * 2 + 16},
    TypeInfo{GgmlType::Q5_0, "Q5_0", 32, 2 + 4 + 16},
    TypeInfo{GgmlType::Q5_1, "Q5_1", 32, 2 * 2 + 4 + 16},
    TypeInfo{GgmlType::Q8_0, "Q8_0", 32, 2 + 32},
    TypeInfo{GgmlType::Q8_1, "Q8_1", 32, 2 * 2 + 32},
    TypeInfo{GgmlType::Q2_K, "Q2_K", 256, 2 * 2 + 16 + 64},
    TypeInfo{GgmlType::Q3_K, "Q3_K", 256, 2 + 64 + 32 + 12},
    TypeInfo{GgmlType::Q4_K, "Q4_K", 256, 2 * 2 + 12 + 128},
    TypeInfo{GgmlType::Q5_K, "Q5_K", 256, 2 * 2 + 12 + 128 + 32},
    TypeInfo{GgmlType::Q6_K, "Q6_K", 256, 2 + 16 + 192},
    TypeInfo{GgmlType::Q8_K, "Q8_K", 256, 4 + 256 + 32},
    TypeInfo{GgmlType::IQ2_XXS, "IQ2_XXS", 256, 2 + 64},
    TypeInfo{GgmlType::IQ2_XS, "IQ2_XS", 256, 2 + 64 + 8},
    TypeInfo{GgmlType::IQ3_XXS, "IQ3_XXS", 256, 2 + 96},
    TypeInfo{GgmlType::IQ1_S, "IQ1_S", 256, 2 + 32 + 16},
    TypeInfo{GgmlType::IQ4_NL, "IQ4_NL", 32, 2 + 16},
    TypeInfo{GgmlType::IQ3_S, "IQ3_S", 256, 2 + 13 * 8 + 4},
    TypeInfo{GgmlType::IQ2_S, "IQ2_S", 256, 2 + 64 + 16},
    TypeInfo{GgmlType::IQ4_XS, "IQ4_XS", 256, 2 + 2 + 4 + 128},
    TypeInfo{GgmlType::I8, "I8", 1, 1},
    TypeInfo{GgmlType::I16, "I16", 1, 2},
    TypeInfo{GgmlType::I32, "I32", 1, 4},
    TypeInfo{GgmlType::I64, "I64", 1, 8},
    TypeInfo{GgmlType::F64, "F64", 1, 8},
    TypeInfo{GgmlType::IQ1_M, "IQ1_M", 256, 32 + 16 + 8},
    TypeInfo{GgmlType::BF16, "BF16", 1, 2},
    TypeInfo{GgmlType::TQ1_0, "TQ1_0", 256, 2 + 4 + 48},
    TypeInfo{GgmlType::TQ2_0, "TQ2_0", 256, 2 + 64},
    TypeInfo{GgmlType::I2_S, "I2_S", 4, 1, 0, 32},
    TypeInfo{GgmlType::TL1, "TL1", 4, 1, 0, 32},
    TypeInfo{GgmlType::TL2, "TL2", 4, 1, 0, 32},  // as ModelFile hands it out: tl_layout.h
    TypeInfo{GgmlType::MXFP4, "MXFP4", 32, 1 + 16},
    TypeInfo{GgmlType::NVFP4, "NVFP4", 64, 4 + 32},
    TypeInfo{GgmlType::Q1_0, "Q1_0", 128, 2 + 16},
    TypeInfo{GgmlType::Q2_0, "Q2_0", 64, 2 + 16},
    TypeInfo{GgmlType::Q6_0, "Q6_0", 32, 2 + 8 + 16},
    TypeInfo{GgmlType::IQ1_BN, "IQ1_BN", 64, 13, 2},
    TypeInfo{GgmlType::IQ2_BN, "IQ2_BN", 64, 16, 4},
    TypeInfo{GgmlType::IQ2_K, "IQ2_K", 256, 2 + 2 + 8 + 64},
    TypeInfo{GgmlType::IQ3_K, "IQ3_K", 256, 2 + 2 + 2 + 8 + 64 + 32},
    TypeInfo{GgmlType::IQ4_K, "IQ4_K", 256, 2 + 2 + 4 + 8 + 128},
    TypeInfo{GgmlType::IQ5_K, "IQ5_K", 256, 2 + 2 + 4 + 8 + 128 + 32},
    TypeInfo{GgmlType::IQ6_K, "IQ6_K", 256, 2 + 2 + 16 + 128 + 64},
    TypeInfo{GgmlType::IQ4_KS, "IQ4_KS", 256, 8 + 128, 4},
    TypeInfo{GgmlType::IQ2_KS, "IQ2_KS", 256, 2 + 4 + 64, 2},
    TypeInfo{GgmlType::IQ4_KSS, "IQ4_KSS", 256, 128, 4},
    TypeInfo{GgmlType::IQ5_KS, "IQ5_KS", 256, 8 + 128 + 32, 4},
    TypeInfo{GgmlType::IQ3_KS, "IQ3_KS", 256, 2 + 4 + 64 + 32, 2},
    TypeInfo{GgmlType::IQ2_KL, "IQ2_KL", 256, 2 + 4 + 64 + 16, 2},
    TypeInfo{GgmlType::Q4_0_R8, "Q4_0_R8", 32, 2 + 16},
    TypeInfo{GgmlType::Q5_0_R4, "Q5_0_R4", 32, 2 + 4 + 16},
    TypeInfo{GgmlType::Q8_0_R8, "Q8_0_R8", 32, 2 + 32},
    TypeInfo{GgmlType::Q2_K_R4, "Q2_K_R4", 256, 2 * 2 + 16 + 64},
    TypeInfo{GgmlType::Q3_K_R4, "Q3_K_R4", 256, 2 + 64 + 32 + 12},
    TypeInfo{GgmlType::Q4_K_R4, "Q4_K_R4", 256, 2 * 2 + 12 + 128},
    TypeInfo{GgmlType::Q5_K_R4, "Q5_K_R4", 256, 2 * 2 + 12 + 128 + 32},
    TypeInfo{GgmlType::Q6_K_R4, "Q6_K_R4", 256, 2 + 16 + 192},
    TypeInfo{GgmlType::IQ2_XXS_R4, "IQ2_XXS_R4", 256, 2 + 64},
    TypeInfo{GgmlType::IQ2_XS_R4, "IQ2_XS_R4", 256, 2 + 64 + 8},
    TypeInfo{GgmlType::IQ3_XXS_R4, "IQ3_XXS_R4", 256, 2 + 96},
    TypeInfo{GgmlType::IQ3_S_R4, "IQ3_S_R4", 256, 2 + 13 * 8 + 4},
    TypeInfo{GgmlType::IQ2_S_R4, "IQ2_S_R4", 256, 2 + 64 + 16},
    TypeInfo{GgmlType::IQ4_NL_R4, "IQ4_NL_R4", 32, 2 + 16},
    TypeInfo{GgmlType::IQ4_XS_R8, "IQ4_XS_R8", 256, 2 + 2 + 4 + 128},
    TypeInfo{GgmlType::Q6_0_R4, "Q6_0_R4", 32, 2 + 8 + 16},
    TypeInfo{GgmlType::IQ2_BN_R4, "IQ2_BN_R4", 64, 16, 4},
    TypeInfo{GgmlType::IQ2_K_R4, "IQ2_K_R4", 256, 2 + 2 + 8 + 64},
    TypeInfo{GgmlType::IQ3_K_R4, "IQ3_K_R4", 256, 2 + 2 + 2 + 8 + 64 + 32},
    TypeInfo{GgmlType::IQ4_K_R4, "IQ4_K_R4", 256, 2 + 2 + 4 + 8 + 128},
    TypeInfo{GgmlType::IQ5_K_R4, "IQ5_K_R4", 256, 2 + 2 + 4 + 8 + 128 + 32},
    TypeInfo{GgmlType::IQ4_KS_R4, "IQ4_KS_R4", 256, 8 + 128, 4},
    TypeInfo{GgmlType::IQ5_KS_R4, "IQ5_KS_R4", 256, 8 + 128 + 32, 4},
};

}  // namespace

std::span<const TypeInfo> all_types() { return kTypes; }

const TypeInfo* find_type(uint32_t id) {
  const auto it = std::ranges::find(kTypes, static_cast<GgmlType>(id), &TypeInfo::type);
  return it == kTypes.end() ? nullptr : &*it;
}

const TypeInfo* find_type_by_name(std::string_view name) {
  const auto same = [name](const TypeInfo& info) {
    return std::ranges::equal(info.name, name, [](unsigned char a, unsigned char b) {
      return std::toupper(a) == std::toupper(b);
    });
  };
  const auto it = std::ranges::find_if(kTypes, same);
  return it == kTypes.end() ? nullptr : &*it;
}

std::string_view removed_type_advice(uint32_t id) {
  switch (id) {
    case 4:
    case 5:
      return "Q4_2 and Q4_3 were removed from ggml in 2023: convert the model again";
    case 31:
    case 32:
    case 33:
      return "Q4_0_4_4, Q4_0_4_8 and Q4_0_8_8 were removed from ggml: quantise to Q4_0, which is "
             "repacked at load";
    case 37:
      return "IQ4_NL_4_8 and IQ4_NL_8_8 were removed from ggml: quantise to IQ4_NL, which is "
             "repacked at load";
    default:
      return "";
  }
}

std::string_view type_name(GgmlType type) {
  const TypeInfo* info = find_type(type);
  assert(info != nullptr);
  return info->name;
}

std::optional<int64_t> tensor_bytes(GgmlType type, std::span<const int64_t> shape) {
  const TypeInfo* info = find_type(type);
  assert(info != nullptr);
  if (shape.empty() || shape[0] < 0 || shape[0] % info->block_len != 0) return std::nullopt;
  auto bytes = checked_mul(shape[0] / info->block_len, info->block_bytes);
  std::optional<int64_t> n_elements = shape[0];  // of less than a byte each there may be more
  if (bytes && __builtin_add_overflow(*bytes, info->row_extra_bytes, &*bytes)) return std::nullopt;
  for (size_t i = 1; i < shape.size() && bytes; ++i) {
    if (shape[i] < 0) return std::nullopt;
    bytes = checked_mul(*bytes, shape[i]);
    if (n_elements) n_elements = checked_mul(*n_elements, shape[i]);
  }
  if (!n_elements) return std::nullopt;
  if (bytes && __builtin_add_overflow(*bytes, info->tensor_extra_bytes, &*bytes)) {
    return std::nullopt;
  }
  return bytes;
}

}  // namespace crossval
