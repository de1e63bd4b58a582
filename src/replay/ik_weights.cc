// Which types, into what and from how many ids on: iqk_mul_mat.cpp `is_dequant_better`
// (ik_llama.cpp). How: iqk_common.h `convert_to_q8_k_r8` and `iqk_convert_*` of
// iqk_gemm_kquants.cpp, iqk_gemm_iquants.cpp, iqk_gemm_iqk_quants.cpp and iqk_gemm_1bit.cpp. With
// all weights of a block as whole multiples q of one unit, code = q / dnew rounded half to even,
// dnew = max(1, largest q / 124 or so).
#include "replay/ik_weights.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <span>

#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

constexpr IkConversion kTo8Bits = {"q8_K, 8-bit weights", "q8_K", 32},
                       kTo8BitsSoon = {"q8_K, 8-bit weights", "q8_K", 16},
                       kTo8BitsOf32 = {"q8_2, 8-bit weights", "q8_2", 64},
                       kToHalves = {"q8_2, f16 scales", "q8_2", 32};

enum class Way {
  product,    // dnew = largest * (1 / largest_code)
  quotient,   // `iqk_convert_q3_k_q8_k_r8`: dnew = largest / largest_code
  values,     // `iqk_convert_q2_k_q8_k_r8`: no whole multiples, for minima are taken off
  blocks_32,  // `iqk_convert_q6_k_q8_0_r8`: for each 32, dnew = largest / largest_code, however
              // small
  halves      // `iqk_convert_q4_k_q8_1_r8`, `_q5_k_`: the codes stay, scales and minima are halves
};

struct Kind {
  GgmlType type;
  const IkConversion& conversion;
  Way way;
  float largest_code = 127;
  float unit = 1;  // of the block's f16 scale
};
constexpr Kind kKinds[] = {
    {GgmlType::IQ1_S, kTo8Bits, Way::product, 126, 0.125f},
    {GgmlType::IQ1_M, kTo8Bits, Way::product, 126, 0.125f},
    {GgmlType::IQ2_XXS, kTo8Bits, Way::product, 124, 0.125f},
    {GgmlType::IQ2_XS, kTo8Bits, Way::product, 124, 0.125f},
    {GgmlType::IQ2_S, kTo8BitsSoon, Way::product, 124, 0.125f},
    {GgmlType::IQ3_XXS, kTo8Bits, Way::product, 124, 0.25f},
    {GgmlType::IQ3_S, kTo8Bits, Way::product},
    {GgmlType::IQ4_XS, kTo8Bits, Way::product},
    {GgmlType::IQ2_K, kTo8Bits, Way::product, 120},
    {GgmlType::IQ3_K, kTo8Bits, Way::product},
    {GgmlType::IQ4_K, kTo8Bits, Way::product},
    {GgmlType::IQ5_K, kTo8Bits, Way::product},
    {GgmlType::IQ6_K, kTo8Bits, Way::product},
    {GgmlType::IQ2_KS, kTo8Bits, Way::product, 125},
    {GgmlType::IQ2_KL, kTo8Bits, Way::product, 125},
    {GgmlType::IQ3_KS, kTo8Bits, Way::product},
    {GgmlType::IQ4_KS, kTo8Bits, Way::product},
    {GgmlType::IQ4_KSS, kTo8Bits, Way::product},
    {GgmlType::IQ5_KS, kTo8Bits, Way::product},
    {GgmlType::Q2_K, kTo8Bits, Way::values},
    {GgmlType::Q3_K, kTo8Bits, Way::quotient},
    {GgmlType::Q4_K, kToHalves, Way::halves},
    {GgmlType::Q5_K, kToHalves, Way::halves},
    {GgmlType::Q6_K, kTo8BitsOf32, Way::blocks_32},
};

const Kind* find_kind(GgmlType type) {
  const auto* const found = std::ranges::find(kKinds, type, &Kind::type);
  return found == std::end(kKinds) ? nullptr : found;
}

constexpr int kLen = 256, kSubLen = 32, kOffset = 128;
struct Block {
  uint16_t d;
  uint8_t codes[kLen];  // with kOffset
};

void unpack(const std::byte* row, int64_t n, uint8_t* codes, float* d, float*) {
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<Block>(row + i * int64_t{sizeof(Block)});
    std::memcpy(codes + i * kLen, block.codes, kLen);
    std::fill_n(d + i * (kLen / kSubLen), kLen / kSubLen, f16_to_f32(block.d));
  }
}

// In no file, so under no id of its own.
constexpr Format kBlocksOf8Bits = {
    .type = GgmlType::Q8_K,
    .activation = ActivationType::Q8_K,
    .block_len = kLen,
    .block_bytes = sizeof(Block),
    .sub_block_len = kSubLen,
    .code_bits = 8,
    .offset = kOffset,
    .has_min = false,
    .dequantize = dequantize_codes<unpack, sizeof(Block), kLen, kSubLen, kOffset>,
    .unpack = unpack,
    .first_non_finite = first_bad_scale<kLen, sizeof(Block), 0>};

// The block's own scale: the first half of it, the last, or (IQ1_M) the upper nibbles of the last
// four. Where rows have a scale, the d of blocks that are unpacked without it are whole numbers.
float scale_of(const std::byte* block, const Format& format) {
  if (format.row_scale.n_bytes > 0) return 1;
  if (format.type == GgmlType::Q3_K || format.type == GgmlType::Q6_K) {
    return f16_to_f32(load_as<uint16_t>(block + format.block_bytes - 2));
  }
  if (format.type != GgmlType::IQ1_M) return f16_to_f32(load_as<uint16_t>(block));
  uint32_t scale = 0;
  for (int i = 0; i < 4; ++i) {
    const auto half = load_as<uint16_t>(block + format.block_bytes - 8 + 2 * i);
    scale |= uint32_t{half} >> 12 << (4 * i);
  }
  return f16_to_f32(static_cast<uint16_t>(scale));
}

// The stored block of 256 as whole multiples of its scale times kind.unit.
struct Multiples {
  float unit;
  int of[kLen];
};

Multiples multiples_of(const std::byte* at, const Format& format, const Kind& kind) {
  uint8_t codes[kLen];
  float d[kLen / 16];
  format.unpack(at, kLen, codes, d, nullptr);
  Multiples out;
  out.unit = scale_of(at, format) * kind.unit;
  // Else the scale alone says what comes of it.
  const bool any = out.unit != 0 && std::isfinite(out.unit);
  for (int i = 0; i < kLen; ++i) {
    const float steps = any ? d[i / format.sub_block_len] / out.unit : 0;  // exact
    out.of[i] = (codes[i] - format.offset) * static_cast<int>(steps);
  }
  return out;
}

template <typename Value>
float largest_of(std::span<const Value> values) {
  float largest = 0;
  for (const Value value : values)
    largest = std::max(largest, std::fabs(static_cast<float>(value)));
  return largest;
}

// Codes of 8 bits: value * factor rounded half to even, with `offset`; 0 where that is no number.
template <typename Value>
void code(std::span<const Value> values, float factor, int offset, uint8_t* codes) {
  for (size_t i = 0; i < values.size(); ++i) {
    const float steps = std::nearbyint(static_cast<float>(values[i]) * factor);
    codes[i] = static_cast<uint8_t>((std::isfinite(steps) ? static_cast<int>(steps) : 0) + offset);
  }
}

void round_block(const std::byte* at, const Format& format, const Kind& kind, float row_scale,
                 std::byte* to) {
  Block block = {};
  if (kind.way == Way::values) {
    float values[kLen];
    format.dequantize(at, kLen, values);
    const float d = largest_of<float>(values) / kind.largest_code;
    block.d = f32_to_f16(d);
    code<float>(values, d != 0 ? 1.0f / d : 0.0f, kOffset, block.codes);
  } else {
    const Multiples q = multiples_of(at, format, kind);
    const float largest = largest_of<int>(q.of);
    const float dnew = std::max(kind.way == Way::quotient ? largest / kind.largest_code
                                                          : largest * (1.0f / kind.largest_code),
                                1.0f);
    block.d = f32_to_f16(q.unit * row_scale * dnew);
    code<int>(q.of, 1.0f / dnew, kOffset, block.codes);
  }
  std::memcpy(to, &block, sizeof block);
}

// Into blocks of Q8_0.
void round_32(const std::byte* at, const Format& format, const Kind& kind, float, std::byte* to) {
  const Multiples q = multiples_of(at, format, kind);
  for (int begin = 0; begin < kLen; begin += kSubLen) {
    struct {
      uint16_t d;
      uint8_t codes[kSubLen];
    } block;
    const std::span of_block =
        std::span<const int>(q.of).subspan(static_cast<size_t>(begin), kSubLen);
    const float dnew = largest_of<int>(of_block) / kind.largest_code;
    block.d = f32_to_f16(q.unit * dnew);
    code<int>(of_block, dnew > 0 ? 1.0f / dnew : 0.0f, 0, block.codes);
    std::memcpy(to, &block, sizeof block);
    to += sizeof block;
  }
}

// Into blocks of Q5_1: two halves, 4 bytes of fifth bits, 16 of the others.
void halve_scales(const std::byte* at, const Format& format, const Kind&, float, std::byte* to) {
  uint8_t codes[kLen];
  float d[kLen / kSubLen], m[kLen / kSubLen];
  format.unpack(at, kLen, codes, d, m);
  for (int b = 0; b < kLen / kSubLen; ++b) {
    struct {
      uint16_t d, m;
      uint32_t high;
      uint8_t low[16];
    } block = {f32_to_f16(d[b]), f32_to_f16(m[b]), 0, {}};
    for (uint32_t i = 0; i < kSubLen; ++i) {
      const uint32_t code = codes[static_cast<uint32_t>(b) * kSubLen + i];
      block.high |= (code >> 4) << i;
      block.low[i % 16] |= static_cast<uint8_t>((code & 15) << (i / 16 * 4));
    }
    std::memcpy(to, &block, sizeof block);
    to += sizeof block;
  }
}

}  // namespace

const IkConversion* find_ik_conversion(GgmlType type) {
  const Kind* kind = find_kind(type);
  return kind == nullptr ? nullptr : &kind->conversion;
}

WeightView ik_converted(const WeightView& w, std::vector<std::byte>& stored, ThreadPool& pool) {
  const Kind& kind = *find_kind(w.format->type);
  WeightView converted = w;
  converted.format = kind.way == Way::halves      ? &kQ5_1
                     : kind.way == Way::blocks_32 ? &kQ8_0
                                                  : &kBlocksOf8Bits;
  const auto convert = kind.way == Way::halves      ? halve_scales
                       : kind.way == Way::blocks_32 ? round_32
                                                    : round_block;
  const int64_t to_bytes = kLen / converted.format->block_len * converted.format->block_bytes;
  const int64_t n_blocks = w.row_len / kLen;
  converted.row_bytes = n_blocks * to_bytes;
  stored.resize(static_cast<size_t>(w.n_rows * converted.row_bytes));
  pool.run(w.n_rows, [&](int64_t r, int) {
    for (int64_t i = 0; i < n_blocks; ++i) {
      convert(w.data + r * w.row_bytes + i * w.format->block_bytes, *w.format, kind, w.row_scale(r),
              stored.data() + r * converted.row_bytes + i * to_bytes);
    }
  });
  converted.data = stored.data();
  return converted;
}

}  // namespace crossval
