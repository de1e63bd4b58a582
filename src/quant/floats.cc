// F32, F16, BF16: plain values (ggml.h `enum ggml_type`; bf16 is the upper half of an f32). F64 and
// the integers are the nearest f32: no engine multiplies with them, files may hold them.
#include <bit>
#include <cmath>

#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

void dequantize_f32(const std::byte* row, int64_t n, float* out) {
  std::memcpy(out, row, static_cast<size_t>(n) * sizeof(float));
}

void dequantize_f16(const std::byte* row, int64_t n, float* out) { f16_to_f32_row(row, n, out); }

void dequantize_bf16(const std::byte* row, int64_t n, float* out) { bf16_to_f32_row(row, n, out); }

template <typename T>
void convert(const std::byte* row, int64_t n, float* out) {
  for (int64_t i = 0; i < n; ++i) {
    out[i] = static_cast<float>(load_as<T>(row + i * static_cast<int64_t>(sizeof(T))));
  }
}

// A double beyond the floats becomes an Inf as well.
int64_t first_bad_f64(const std::byte* row, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const auto value = load_as<double>(row + i * static_cast<int64_t>(sizeof(double)));
    if (!std::isfinite(static_cast<float>(value))) return i;
  }
  return -1;
}

// First of n values whose exponent bits (`mask`) are all set. Looks at whole chunks without a
// branch, so that the compiler vectorises it: a scan runs at the speed of memory.
template <typename Word, Word mask>
int64_t first_all_ones_exponent(const std::byte* row, int64_t n) {
  constexpr int64_t kChunk = 1024;
  for (int64_t start = 0; start < n; start += kChunk) {
    const int64_t end = start + kChunk < n ? start + kChunk : n;
    Word bad = 0;
    for (int64_t i = start; i < end; ++i) {
      const Word word = load_as<Word>(row + i * static_cast<int64_t>(sizeof(Word)));
      bad = static_cast<Word>(bad | ((word & mask) == mask ? 1 : 0));
    }
    if (bad == 0) continue;
    for (int64_t i = start; i < end; ++i) {
      if ((load_as<Word>(row + i * static_cast<int64_t>(sizeof(Word))) & mask) == mask) return i;
    }
  }
  return -1;
}

constexpr Format float_format(GgmlType type, ActivationType activation, int bytes,
                              decltype(Format::dequantize) dequantize,
                              decltype(Format::first_non_finite) first_non_finite) {
  return {.type = type,
          .activation = activation,
          .block_len = 1,
          .block_bytes = bytes,
          .sub_block_len = 0,
          .code_bits = 0,
          .offset = 0,
          .has_min = false,
          .dequantize = dequantize,
          .unpack = nullptr,
          .first_non_finite = first_non_finite};
}

}  // namespace

const Format kF32 = float_format(GgmlType::F32, ActivationType::F32, 4, dequantize_f32,
                                 first_all_ones_exponent<uint32_t, 0x7f800000u>);
const Format kF16 = float_format(GgmlType::F16, ActivationType::F16, 2, dequantize_f16,
                                 first_all_ones_exponent<uint16_t, 0x7c00u>);
const Format kBF16 = float_format(GgmlType::BF16, ActivationType::BF16, 2, dequantize_bf16,
                                  first_all_ones_exponent<uint16_t, 0x7f80u>);
const Format kF64 =
    float_format(GgmlType::F64, ActivationType::F32, 8, convert<double>, first_bad_f64);
const Format kI8 = float_format(GgmlType::I8, ActivationType::F32, 1, convert<int8_t>, no_scales);
const Format kI16 =
    float_format(GgmlType::I16, ActivationType::F32, 2, convert<int16_t>, no_scales);
const Format kI32 =
    float_format(GgmlType::I32, ActivationType::F32, 4, convert<int32_t>, no_scales);
const Format kI64 =
    float_format(GgmlType::I64, ActivationType::F32, 8, convert<int64_t>, no_scales);

}  // namespace crossval
