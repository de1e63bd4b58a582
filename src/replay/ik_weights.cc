// iqk_common.h `convert_to_q8_k_r8`, and iqk_gemm_iquants.cpp, iqk_gemm_iqk_quants.cpp,
// iqk_gemm_1bit.cpp `iqk_convert_*` for what each type brings (ik_llama.cpp): with all weights of a
// block as whole multiples q of one unit, code = q / dnew rounded half to even, dnew = max(1,
// largest q / 124 or so).
#include "replay/ik_weights.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {
namespace {

struct Kind {
  GgmlType type;
  float largest_code;
  float unit;  // of the block's f16 scale
};
constexpr Kind kKinds[] = {
    {GgmlType::IQ1_S, 126, 0.125f},   {GgmlType::IQ1_M, 126, 0.125f},
    {GgmlType::IQ2_XXS, 124, 0.125f}, {GgmlType::IQ2_XS, 124, 0.125f},
    {GgmlType::IQ2_S, 124, 0.125f},   {GgmlType::IQ3_XXS, 124, 0.25f},
    {GgmlType::IQ3_S, 127, 1.0f},     {GgmlType::IQ2_K, 120, 1.0f},
    {GgmlType::IQ3_K, 127, 1.0f},     {GgmlType::IQ4_K, 127, 1.0f},
    {GgmlType::IQ5_K, 127, 1.0f},     {GgmlType::IQ6_K, 127, 1.0f},
    {GgmlType::IQ2_KS, 125, 1.0f},    {GgmlType::IQ2_KL, 125, 1.0f},
    {GgmlType::IQ3_KS, 127, 1.0f},    {GgmlType::IQ4_KS, 127, 1.0f},
    {GgmlType::IQ4_KSS, 127, 1.0f},   {GgmlType::IQ5_KS, 127, 1.0f},
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

// The block's own scale: the first half of it, or (IQ1_M) the upper nibbles of the last four. Where
// rows have a scale, the d of blocks that are unpacked without it are whole numbers themselves.
float scale_of(const std::byte* block, const Format& format) {
  if (format.row_scale.n_bytes > 0) return 1;
  if (format.type != GgmlType::IQ1_M) return f16_to_f32(load_as<uint16_t>(block));
  uint32_t scale = 0;
  for (int i = 0; i < 4; ++i) {
    const auto half = load_as<uint16_t>(block + format.block_bytes - 8 + 2 * i);
    scale |= uint32_t{half} >> 12 << (4 * i);
  }
  return f16_to_f32(static_cast<uint16_t>(scale));
}

Block round_again(const std::byte* at, const Format& format, const Kind& kind, float row_scale) {
  uint8_t codes[kLen];
  float d[kLen / 16];
  format.unpack(at, kLen, codes, d, nullptr);
  const float unit = scale_of(at, format) * kind.unit;
  const bool any = unit != 0 && std::isfinite(unit);  // else the scale alone says what comes of it
  int multiples[kLen], largest = 0;
  for (int i = 0; i < kLen; ++i) {
    const float steps = any ? d[i / format.sub_block_len] / unit : 0;  // exact
    multiples[i] = (codes[i] - format.offset) * static_cast<int>(steps);
    largest = std::max(largest, std::abs(multiples[i]));
  }
  const float widest = static_cast<float>(largest) * (1.0f / kind.largest_code);
  const float dnew = std::max(widest, 1.0f), factor = 1.0f / dnew;
  Block block = {f32_to_f16(unit * row_scale * dnew), {}};
  for (int i = 0; i < kLen; ++i) {
    const float code = std::nearbyint(static_cast<float>(multiples[i]) * factor);
    block.codes[i] = static_cast<uint8_t>(static_cast<int>(code) + kOffset);
  }
  return block;
}

}  // namespace

bool ik_rounds_to_8_bits(GgmlType type) { return find_kind(type) != nullptr; }

WeightView ik_rounded_to_8_bits(const WeightView& w, std::vector<std::byte>& stored,
                                ThreadPool& pool) {
  const Kind& kind = *find_kind(w.format->type);
  const int64_t n_blocks = w.row_len / kLen;
  WeightView rounded = w;
  rounded.format = &kBlocksOf8Bits;
  rounded.row_bytes = n_blocks * int64_t{sizeof(Block)};
  stored.resize(static_cast<size_t>(w.n_rows * rounded.row_bytes));
  pool.run(w.n_rows, [&](int64_t r, int) {
    for (int64_t i = 0; i < n_blocks; ++i) {
      const Block block = round_again(w.data + r * w.row_bytes + i * w.format->block_bytes,
                                      *w.format, kind, w.row_scale(r));
      std::memcpy(stored.data() + r * rounded.row_bytes + i * int64_t{sizeof(Block)}, &block,
                  sizeof block);
    }
  });
  rounded.data = stored.data();
  return rounded;
}

}  // namespace crossval
