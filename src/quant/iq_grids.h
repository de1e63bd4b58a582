// The grids of the IQ1, IQ2 and IQ3 formats: eight (IQ3: four) weights are one point of a list, a
// byte each, the first in the lowest byte. Signs come from bits beside it.
#pragma once

#include <array>
#include <cstdint>

namespace crossval {

// Values 8 (g + 1) of g = -1, 0, 1, so that an eighth, which is added to each g, is a 1.
extern const std::array<uint64_t, 2048> kIq1Grid;
// Values 8, 25 and 43.
extern const std::array<uint64_t, 256> kIq2XxsGrid;
extern const std::array<uint64_t, 512> kIq2XsGrid;
extern const std::array<uint64_t, 1024> kIq2SGrid;
// Values 4, 12, ... 52 and 62; the odd ones of 1 to 15.
extern const std::array<uint32_t, 256> kIq3XxsGrid;
extern const std::array<uint32_t, 512> kIq3SGrid;

// Byte j is 255 where bit j of the index is set, and 0 elsewhere.
extern const std::array<uint64_t, 256> kSignMasks;
// The same of seven bits; the eighth is set where their number is odd (ggml-common.h
// `ksigns_iq2xs`).
extern const std::array<uint64_t, 128> kEvenSignMasks;

constexpr uint64_t in_each_byte(uint8_t value) { return value * uint64_t{0x0101010101010101}; }

// Eight codes offset +- value. No byte carries into the next: values are at most the offset, and
// that 127.
template <uint8_t kOffset>
uint64_t signed_codes(uint64_t values, uint64_t mask) {
  static_assert(kOffset < 128);
  return in_each_byte(kOffset) + values - ((values + values) & mask);
}

}  // namespace crossval
