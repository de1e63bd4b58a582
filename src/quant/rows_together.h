// Interleaved kinds of ik_llama.cpp: blocks of R rows lie together, each part of a block R times,
// so that one load feeds R rows. The weights are those of the kind that is not interleaved; a
// format only says where a row's codes and scales lie in its Block.
#pragma once

#include "base/half.h"
#include "quant/format_rows.h"

namespace crossval {

// Layout has: Block (of all rows), kRows, kSubLen, four(block, row, i, q), which are the codes of
// weights 4 q to 4 q + 3 of 32 number i, in the bytes of a word; d(block, row, sub) and
// m(block, row, sub), which is not called unless the kind has a minimum.
template <typename Layout, int kLen, bool kHasMin>
void unpack_one_row(const std::byte* rows, int row, int64_t n, uint8_t* codes, float* d, float* m) {
  using Block = typename Layout::Block;
  constexpr int kSubs = kLen / Layout::kSubLen;
  for (int64_t i = 0; i < n / kLen; ++i) {
    const auto block = load_as<Block>(rows + i * int64_t{sizeof(Block)});
    for (int k = 0; k < kLen / 32; ++k) {
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q) {
        const uint32_t four = Layout::four(block, row, k, q);
        std::memcpy(codes + i * kLen + k * 32 + q * 4, &four, sizeof four);
      }
    }
    for (int sub = 0; sub < kSubs; ++sub) {
      d[i * kSubs + sub] = Layout::d(block, row, sub);
      if constexpr (kHasMin) m[i * kSubs + sub] = Layout::m(block, row, sub);
    }
  }
}

// The interleaved kind of `one`, which differs in where things lie alone.
template <typename Layout, int kLen, bool kHasMin = false>
constexpr Format interleaved(Format one, GgmlType type) {
  one.type = type;
  one.dequantize = nullptr;
  one.unpack = nullptr;
  one.first_non_finite = nullptr;
  one.pack_avx2 = nullptr;
  one.dot_avx2 = nullptr;
  one.rows_together = Layout::kRows;
  one.unpack_one = unpack_one_row<Layout, kLen, kHasMin>;
  return one;
}

// Some bits of each of four bytes; `mask` is of one.
inline uint32_t four_of(const void* bytes, int shift, uint8_t mask) {
  return load_as<uint32_t>(bytes) >> shift & mask * 0x01010101u;
}

// Codes in place of the places that four bytes are.
inline uint32_t look_up_four(const uint8_t* table, uint32_t places) {
  return uint32_t{table[places & 255]} | uint32_t{table[places >> 8 & 255]} << 8 |
         uint32_t{table[places >> 16 & 255]} << 16 | uint32_t{table[places >> 24]} << 24;
}

// Four rows' nibbles: of 32 weights of a row, four bytes at a time hold these in their low and
// their high halves: 0-3 and 8-11, 16-19 and 24-27, 4-7 and 12-15, 20-23 and 28-31.
struct NibbleOfFour {
  int part;  // of the four in this order
  int high;  // 1: the upper half of the byte
};
constexpr NibbleOfFour nibble_of_four(int q) { return {(q >> 2 & 1) | (q & 1) << 1, q >> 1 & 1}; }
inline uint32_t nibbles_of_four(const uint8_t* bytes_of_32, int row, int q) {
  const NibbleOfFour at = nibble_of_four(q);
  return four_of(bytes_of_32 + 16 * at.part + 4 * row, 4 * at.high, 15);
}
// Their two bits: every fourth weights of 16 in four bytes.
inline uint32_t two_bits_of_four(const uint8_t* bytes_of_32, int row, int q) {
  return four_of(bytes_of_32 + q / 4 * 16 + 4 * row, q % 4 * 2, 3);
}

// Scales of 6 bits of R rows: in the order of sub-blocks, then rows; 4 bits of the first 32 in the
// lower halves, of others in the upper ones, two bits more in groups of 16.
constexpr int six_bits(const uint8_t* low, const uint8_t* high, int at) {
  return (low[at % 32] >> (at / 32 * 4) & 15) | (high[at % 16] >> (at / 16 * 2) & 3) << 4;
}

}  // namespace crossval
