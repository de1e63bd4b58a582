#include "support/quantize.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/half.h"

namespace crossval::testing {
namespace {

void put_f16(std::byte*& out, float value) {
  const uint16_t half = f32_to_f16(value);
  std::memcpy(out, &half, sizeof(half));
  out += sizeof(half);
}

int nearest(float value, int low, int high) {
  return std::clamp(static_cast<int>(std::lrint(value)), low, high);
}

// The value of largest magnitude, with its sign: ggml maps it to the lowest code, which symmetric
// formats have one more of.
float extreme(const float* x, int n) {
  return *std::max_element(x, x + n, [](float a, float b) { return std::abs(a) < std::abs(b); });
}

// Q4 and Q5: codes of 32 weights as nibbles (byte i holds weights i and i + 16), the fifth bits
// before them in a u32.
void put_codes(std::byte*& out, const int* codes, int bits) {
  if (bits == 5) {
    uint32_t high = 0;
    for (int i = 0; i < 32; ++i) high |= static_cast<uint32_t>(codes[i] >> 4) << i;
    std::memcpy(out, &high, sizeof(high));
    out += sizeof(high);
  }
  for (int i = 0; i < 16; ++i) {
    *out++ = static_cast<std::byte>((codes[i] & 15) | ((codes[i + 16] & 15) << 4));
  }
}

void symmetric_block(const float* x, std::byte*& out, int bits) {
  const int middle = 1 << (bits - 1);
  const float d = extreme(x, 32) / static_cast<float>(-middle);
  put_f16(out, d);
  int codes[32];
  for (int i = 0; i < 32; ++i) {
    codes[i] = d == 0 ? middle : nearest(x[i] / d + static_cast<float>(middle), 0, 2 * middle - 1);
  }
  put_codes(out, codes, bits);
}

void min_block(const float* x, std::byte*& out, int bits) {
  const auto [low, high] = std::minmax_element(x, x + 32);
  const int top = (1 << bits) - 1;
  const float d = (*high - *low) / static_cast<float>(top);
  put_f16(out, d);
  put_f16(out, *low);
  int codes[32];
  for (int i = 0; i < 32; ++i) codes[i] = d == 0 ? 0 : nearest((x[i] - *low) / d, 0, top);
  put_codes(out, codes, bits);
}

void q8_0_block(const float* x, std::byte*& out) {
  const float d = std::abs(extreme(x, 32)) / 127.0f;
  put_f16(out, d);
  for (int i = 0; i < 32; ++i) {
    *out++ = static_cast<std::byte>(d == 0 ? 0 : nearest(x[i] / d, -127, 127));
  }
}

// 256 weights: ql[128], qh[64], 16 int8 scales of 16 weights each, f16 super scale. Of each half
// of 128, weight l + 32 k (l < 32, k < 4) has its low nibble in ql[l + 32 (k & 1)], the low or high
// half of it by k / 2, and its upper two bits in qh[l] at bit 2 k.
void q6_k_block(const float* x, std::byte*& out) {
  float sub_scale[16];
  for (int s = 0; s < 16; ++s) sub_scale[s] = extreme(x + 16 * s, 16) / -32.0f;
  const float widest = extreme(sub_scale, 16);
  const float d = f16_to_f32(f32_to_f16(widest / -128.0f));
  uint8_t ql[128] = {}, qh[64] = {};
  int8_t scales[16] = {};
  for (int s = 0; s < 16; ++s) {
    scales[s] = static_cast<int8_t>(d == 0 ? 0 : nearest(sub_scale[s] / d, -128, 127));
  }
  for (int i = 0; i < 256; ++i) {
    const int sub = i / 16;
    const float step = d * static_cast<float>(scales[sub]);
    const int code = step == 0 ? 32 : nearest(x[i] / step, -32, 31) + 32;
    const int half = i / 128, k = i % 128 / 32, l = i % 32;
    ql[64 * half + l + 32 * (k & 1)] |= static_cast<uint8_t>((code & 15) << (4 * (k / 2)));
    qh[32 * half + l] |= static_cast<uint8_t>((code >> 4) << (2 * k));
  }
  std::memcpy(out, ql, sizeof(ql));
  std::memcpy(out + 128, qh, sizeof(qh));
  std::memcpy(out + 192, scales, sizeof(scales));
  out += 208;
  put_f16(out, d);
}

// 256 weights: f16 d and dmin, 8 scales and 8 minima of 6 bits in 12 bytes, then nibbles: byte i of
// each 32 holds weights i (low) and i + 32 (high) of 64. Weight = d * scale * code - dmin * min.
void q4_k_block(const float* x, std::byte*& out) {
  float step[8], low[8];
  for (int s = 0; s < 8; ++s) {
    const auto [least, most] = std::minmax_element(x + 32 * s, x + 32 * (s + 1));
    low[s] = std::max(0.0f, -*least);
    step[s] = (*most + low[s]) / 15.0f;
  }
  const float d = f16_to_f32(f32_to_f16(std::max(0.0f, *std::max_element(step, step + 8)) / 63.0f));
  const float dmin = f16_to_f32(f32_to_f16(*std::max_element(low, low + 8) / 63.0f));
  uint8_t scales[12] = {}, codes[256];
  for (int s = 0; s < 8; ++s) {
    const int scale = d == 0 ? 0 : nearest(step[s] / d, 0, 63);
    const int min = dmin == 0 ? 0 : nearest(low[s] / dmin, 0, 63);
    if (s < 4) {
      scales[s] |= static_cast<uint8_t>(scale);
      scales[s + 4] |= static_cast<uint8_t>(min);
    } else {
      scales[s + 4] |= static_cast<uint8_t>((scale & 15) | ((min & 15) << 4));
      scales[s - 4] |= static_cast<uint8_t>((scale >> 4) << 6);
      scales[s] |= static_cast<uint8_t>((min >> 4) << 6);
    }
    const float width = d * static_cast<float>(scale), base = dmin * static_cast<float>(min);
    for (int i = 32 * s; i < 32 * (s + 1); ++i) {
      codes[i] = static_cast<uint8_t>(width == 0 ? 0 : nearest((x[i] + base) / width, 0, 15));
    }
  }
  put_f16(out, d);
  put_f16(out, dmin);
  std::memcpy(out, scales, sizeof(scales));
  out += sizeof(scales);
  for (int i = 0; i < 128; ++i) {
    const int at = 64 * (i / 32) + i % 32;
    *out++ = static_cast<std::byte>(codes[at] | (codes[at + 32] << 4));
  }
}

// Ternary codes 0, 1, 2 of weights that are -1, 0, +1 times their scale.
unsigned trit(float x) { return x < 0 ? 0 : x > 0 ? 2 : 1; }

// 32 bytes for weights 0 to 127, 32 for the others: byte p of each half holds weights p, p + 32,
// p + 64, p + 96 from its lowest bits up; then the f16 scale.
void tq2_0_block(const float* x, std::byte*& out) {
  for (int byte = 0; byte < 64; ++byte) {
    unsigned packed = 0;
    for (int j = 0; j < 4; ++j) {
      packed |= trit(x[byte / 32 * 128 + 32 * j + byte % 32]) << (2 * j);
    }
    *out++ = static_cast<std::byte>(packed);
  }
  put_f16(out, std::abs(extreme(x, 256)));
}

// Five weights a byte in base 3, the first one highest, as a fraction of 243 rounded up to 256ths:
// 32 bytes for weights p + 32 j, 16 for 160 + p + 16 j, 4 with four weights for 240 + p + 4 j.
void tq1_0_block(const float* x, std::byte*& out) {
  const auto run = [&](int first, int n_bytes, int n_each) {
    for (int p = 0; p < n_bytes; ++p) {
      unsigned packed = 0;
      for (int j = 0; j < 5; ++j) {
        packed = 3 * packed + (j < n_each ? trit(x[first + n_bytes * j + p]) : 0);
      }
      *out++ = static_cast<std::byte>((256 * packed + 242) / 243);
    }
  };
  run(0, 32, 5);
  run(160, 16, 5);
  run(240, 4, 4);
  put_f16(out, std::abs(extreme(x, 256)));
}

// Rows' codes only; where the scale goes is the caller's business.
void i2_s_block(const float* x, std::byte*& out) {
  for (int p = 0; p < 32; ++p) {
    unsigned packed = 0;
    for (int j = 0; j < 4; ++j) packed = packed << 2 | trit(x[32 * j + p]);
    *out++ = static_cast<std::byte>(packed);
  }
}

void iq2_bn_block(const float* x, std::byte*& out) {
  for (int p = 0; p < 16; ++p) {
    unsigned packed = 0;
    for (int j = 0; j < 4; ++j) packed |= trit(x[16 * j + p]) << (2 * j);
    *out++ = static_cast<std::byte>(packed);
  }
}

bool is_ternary(GgmlType type) {
  return type == GgmlType::TQ1_0 || type == GgmlType::TQ2_0 || type == GgmlType::I2_S ||
         type == GgmlType::IQ2_BN;
}

void put_f32(std::byte*& out, float value) {
  std::memcpy(out, &value, sizeof value);
  out += sizeof value;
}

void put_block(GgmlType type, const float* x, std::byte*& out) {
  switch (type) {
    case GgmlType::F32:
      std::memcpy(out, x, sizeof(float));
      out += sizeof(float);
      return;
    case GgmlType::F16:
      put_f16(out, *x);
      return;
    case GgmlType::BF16: {
      const uint16_t half = f32_to_bf16(*x);
      std::memcpy(out, &half, sizeof(half));
      out += sizeof(half);
      return;
    }
    case GgmlType::Q4_0:
      symmetric_block(x, out, 4);
      return;
    case GgmlType::Q5_0:
      symmetric_block(x, out, 5);
      return;
    case GgmlType::Q4_1:
      min_block(x, out, 4);
      return;
    case GgmlType::Q5_1:
      min_block(x, out, 5);
      return;
    case GgmlType::Q8_0:
      q8_0_block(x, out);
      return;
    case GgmlType::Q4_K:
      q4_k_block(x, out);
      return;
    case GgmlType::Q6_K:
      q6_k_block(x, out);
      return;
    case GgmlType::TQ1_0:
      tq1_0_block(x, out);
      return;
    case GgmlType::TQ2_0:
      tq2_0_block(x, out);
      return;
    case GgmlType::I2_S:
      i2_s_block(x, out);
      return;
    case GgmlType::IQ2_BN:
      iq2_bn_block(x, out);
      return;
    default:
      throw std::runtime_error("no test quantiser for " + std::string(type_name(type)));
  }
}

}  // namespace

bool can_quantize(GgmlType type) {
  switch (type) {
    case GgmlType::F32:
    case GgmlType::F16:
    case GgmlType::BF16:
    case GgmlType::Q4_0:
    case GgmlType::Q4_1:
    case GgmlType::Q5_0:
    case GgmlType::Q5_1:
    case GgmlType::Q8_0:
    case GgmlType::Q4_K:
    case GgmlType::Q6_K:
      return true;
    default:
      return is_ternary(type);
  }
}

std::vector<std::byte> quantize(GgmlType type, std::span<const float> values, int64_t row_len) {
  const TypeInfo* info = find_type(type);
  const auto n = static_cast<int64_t>(values.size());
  if (row_len == 0) row_len = n;
  // Blocks of I2_S are listed as 4 weights a byte, which is not how far they reach.
  const auto block_len = static_cast<size_t>(type == GgmlType::I2_S ? 128 : info->block_len);
  assert(values.size() % block_len == 0 && (n == 0 || n % row_len == 0));
  const int64_t shape[] = {row_len, n == 0 ? 0 : n / row_len};
  std::vector<std::byte> bytes(static_cast<size_t>(tensor_bytes(type, shape).value()));
  std::byte* out = bytes.data();
  std::vector<float> rounded;
  float scale = 0;
  if (is_ternary(type)) {
    double sum = 0;
    for (const float value : values) sum += std::abs(value);
    // A scale that f16 holds, so that the model is the same in every ternary type.
    scale = f16_to_f32(f32_to_f16(static_cast<float>(sum / static_cast<double>(n))));
    for (const float value : values) {
      rounded.push_back(scale == 0 ? 0 : scale * static_cast<float>(nearest(value / scale, -1, 1)));
    }
    values = rounded;
  }
  for (size_t i = 0; i < values.size(); i += block_len) {
    if (type == GgmlType::IQ2_BN && i % static_cast<size_t>(row_len) == 0) put_f32(out, scale);
    put_block(type, &values[i], out);
  }
  if (type == GgmlType::I2_S) {
    put_f32(out, scale);
    out += 28;
  }
  assert(out == bytes.data() + bytes.size());
  return bytes;
}

}  // namespace crossval::testing
