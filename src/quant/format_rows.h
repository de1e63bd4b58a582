// The formats that formats.cc lists, each defined in its family's own file.
#pragma once

#include <cstring>

#include "quant/formats.h"

namespace crossval {

extern const Format kF32, kF16, kBF16;                 // floats.cc
extern const Format kQ4_0, kQ4_1;                      // q4.cc
extern const Format kQ5_0, kQ5_1;                      // q5.cc
extern const Format kQ8_0;                             // q8_0.cc
extern const Format kQ6_K;                             // q6_k.cc
extern const Format kQ2_K, kQ3_K;                      // q23_k.cc
extern const Format kQ4_K, kQ5_K;                      // q45_k.cc
extern const Format kIQ4_NL, kIQ4_XS;                  // iq4.cc
extern const Format kTQ1_0, kTQ2_0;                    // tq.cc
extern const Format kI2_S;                             // i2_s.cc
extern const Format kI2_S_ARM, kI2_S_32, kI2_S_QK256;  // i2_s_layouts.cc, not in the table
extern const Format kIQ2_BN;                           // iq2_bn.cc

// A stored value at any alignment.
template <typename T>
T load_as(const void* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline bool is_finite_f16(uint16_t h) { return (h & 0x7c00u) != 0x7c00u; }

// For block formats whose only floats are f16 scales: index of the first weight of the first block
// where one of them is not finite, or -1. `scale_offsets` are bytes from the block's start.
template <int kScales>
int64_t first_bad_scale(const std::byte* row, int64_t n, int block_len, int block_bytes,
                        const int (&scale_offsets)[kScales]) {
  for (int64_t block = 0; block < n / block_len; ++block) {
    for (const int offset : scale_offsets) {
      if (!is_finite_f16(load_as<uint16_t>(row + block * block_bytes + offset))) {
        return block * block_len;
      }
    }
  }
  return -1;
}

// Format::dequantize of a format of codes, from how it unpacks.
template <decltype(Format::unpack) unpack, int kLen, int kSubLen, int kOffset, bool kHasMin = false>
void dequantize_codes(const std::byte* row, int64_t n, int block_bytes, float* out) {
  for (int64_t block = 0; block < n / kLen; ++block) {
    uint8_t codes[kLen];
    float d[kLen / kSubLen], m[kLen / kSubLen] = {};
    unpack(row + block * block_bytes, kLen, codes, d, m);
    for (int i = 0; i < kLen; ++i) {
      const float weight = d[i / kSubLen] * static_cast<float>(codes[i] - kOffset);
      // Not "+ 0" where there is no minimum: -0 would become +0.
      out[block * kLen + i] = kHasMin ? weight + m[i / kSubLen] : weight;
    }
  }
}

}  // namespace crossval
