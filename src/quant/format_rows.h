// The formats that formats.cc lists, each defined in its family's own file.
#pragma once

#include <array>
#include <cstring>

#include "quant/formats.h"

namespace crossval {

extern const Format kF32, kF16, kBF16;                 // floats.cc
extern const Format kF64, kI8, kI16, kI32, kI64;       // floats.cc
extern const Format kQ8_1, kQ8_K;                      // q8_blocks.cc
extern const Format kQ4_0, kQ4_1;                      // q4.cc
extern const Format kQ5_0, kQ5_1;                      // q5.cc
extern const Format kQ8_0;                             // q8_0.cc
extern const Format kQ6_K;                             // q6_k.cc
extern const Format kQ2_K, kQ3_K;                      // q23_k.cc
extern const Format kQ4_K, kQ5_K;                      // q45_k.cc
extern const Format kIQ4_NL, kIQ4_XS;                  // iq4.cc
extern const Format kIQ1_S, kIQ1_M;                    // iq1.cc
extern const Format kIQ2_XXS, kIQ2_XS, kIQ2_S;         // iq2.cc
extern const Format kIQ3_XXS, kIQ3_S;                  // iq3.cc
extern const Format kTQ1_0, kTQ2_0;                    // tq.cc
extern const Format kMXFP4, kNVFP4;                    // fp4.cc
extern const Format kQ1_0, kQ2_0;                      // q12.cc
extern const Format kI2_S;                             // i2_s.cc
extern const Format kI2_S_ARM, kI2_S_32, kI2_S_QK256;  // i2_s_layouts.cc, not in the table
extern const Format kTL1, kTL2;                        // i2_s_layouts.cc
extern const Format kIQ2_BN;                           // iq2_bn.cc

// Those of ik_llama.cpp alone.
extern const Format kQ6_0;                                   // q6_0.cc
extern const Format kIQ1_BN;                                 // iq1_bn.cc
extern const Format kIQ2_K, kIQ3_K, kIQ4_K, kIQ5_K, kIQ6_K;  // iq_k.cc
extern const Format kIQ2_KS, kIQ3_KS, kIQ4_KS, kIQ5_KS;      // iq_ks.cc
extern const Format kIQ4_KSS, kIQ2_KL;                       // iq_ks.cc
extern const Format kQ4_0_R8, kQ5_0_R4, kQ6_0_R4, kQ8_0_R8;  // rows_of_blocks.cc
extern const Format kIQ4_NL_R4, kIQ2_BN_R4;                  // rows_of_blocks.cc
extern const Format kQ2_K_R4, kQ3_K_R4, kQ4_K_R4;            // rows_of_k.cc
extern const Format kQ5_K_R4, kQ6_K_R4, kIQ4_XS_R8;          // rows_of_k.cc
extern const Format kIQ2_K_R4, kIQ3_K_R4, kIQ4_K_R4;         // rows_of_iq_k.cc
extern const Format kIQ5_K_R4, kIQ4_KS_R4, kIQ5_KS_R4;       // rows_of_iq_k.cc
extern const Format kIQ2_XXS_R4, kIQ2_XS_R4, kIQ2_S_R4;      // rows_of_grids.cc
extern const Format kIQ3_XXS_R4, kIQ3_S_R4;                  // rows_of_grids.cc

// A stored value at any alignment.
template <typename T>
T load_as(const void* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

inline bool is_finite_f16(uint16_t h) { return (h & 0x7c00u) != 0x7c00u; }

// Format::first_non_finite of a block format whose only floats are f16 scales, so many bytes from
// the block's start: the first weight of the first block where one of them is not finite.
template <int kBlockLen, int kBlockBytes, int... kScaleOffsets>
int64_t first_bad_scale(const std::byte* row, int64_t n) {
  for (int64_t block = 0; block < n / kBlockLen; ++block) {
    const std::byte* at = row + block * kBlockBytes;
    if (!(is_finite_f16(load_as<uint16_t>(at + kScaleOffsets)) && ...)) return block * kBlockLen;
  }
  return -1;
}

// Some bits of n bytes, and others of them put above those.
template <int kLen>
void put_bits(const uint8_t* packed, int shift, int mask, uint8_t* codes) {
  for (int j = 0; j < kLen; ++j) codes[j] = static_cast<uint8_t>(packed[j] >> shift & mask);
}
template <int kLen>
void add_bits(const uint8_t* packed, int shift, int mask, int above, uint8_t* codes) {
  for (int j = 0; j < kLen; ++j) {
    codes[j] = static_cast<uint8_t>(codes[j] | (packed[j] >> shift & mask) << above);
  }
}

// Two weights a byte: the low nibbles are the first half of them, the high ones the second.
template <int kLen>
void unpack_nibbles(const uint8_t* packed, uint8_t* codes) {
  for (int j = 0; j < kLen / 2; ++j) {
    codes[j] = packed[j] & 15;
    codes[j + kLen / 2] = packed[j] >> 4;
  }
}

// The same of nibbles that are places in a table of codes.
template <int kLen>
void look_up_nibbles(const uint8_t* packed, const std::array<uint8_t, 16>& table, uint8_t* codes) {
  unpack_nibbles<kLen>(packed, codes);
  for (int j = 0; j < kLen; ++j) codes[j] = table[codes[j]];
}

// first_bad_scale of a format whose blocks hold codes alone, or scales that are always finite.
inline int64_t no_scales(const std::byte*, int64_t) { return -1; }

// Format::dequantize of a format of codes, from how it unpacks.
template <decltype(Format::unpack) unpack, int kBlockBytes, int kLen, int kSubLen, int kOffset,
          bool kHasMin = false>
void dequantize_codes(const std::byte* row, int64_t n, float* out) {
  for (int64_t block = 0; block < n / kLen; ++block) {
    uint8_t codes[kLen];
    float d[kLen / kSubLen], m[kLen / kSubLen] = {};
    unpack(row + block * kBlockBytes, kLen, codes, d, m);
    for (int i = 0; i < kLen; ++i) {
      const float weight = d[i / kSubLen] * static_cast<float>(codes[i] - kOffset);
      // Not "+ 0" where there is no minimum: -0 would become +0.
      out[block * kLen + i] = kHasMin ? weight + m[i / kSubLen] : weight;
    }
  }
}

}  // namespace crossval
