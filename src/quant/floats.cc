// F32, F16, BF16: plain values (ggml.h `enum ggml_type`; bf16 is the upper half of an f32).
#include <bit>

#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

void dequantize_f32(const std::byte* row, int64_t n, float* out) {
  std::memcpy(out, row, static_cast<size_t>(n) * sizeof(float));
}

void dequantize_f16(const std::byte* row, int64_t n, float* out) { f16_to_f32_row(row, n, out); }

void dequantize_bf16(const std::byte* row, int64_t n, float* out) { bf16_to_f32_row(row, n, out); }

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

}  // namespace crossval
