// The uneven steps of ik_llama.cpp's K and KS weights (ggml/src/ggml-common.h `iq2nl_values`,
// `iq3nl_values`, `iq4k_values`, `iq5nl_values`, `iq6nl_values`), as codes of 8 bits with an offset
// of 128. Each type has a second table, which is the first one moved by a constant: a bit for each
// sub-block says which.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace crossval {

inline constexpr int kIkOffset = 128;

// Two tables side by side: places 0 to N - 1, and N to 2 N - 1.
template <std::size_t N>
constexpr std::array<uint8_t, 2 * N> ik_codes(const std::array<int, N>& steps, int moved_by) {
  std::array<uint8_t, 2 * N> codes{};
  for (size_t i = 0; i < N; ++i) {
    codes[i] = static_cast<uint8_t>(steps[i] + kIkOffset);
    codes[N + i] = static_cast<uint8_t>(steps[i] + moved_by + kIkOffset);
  }
  return codes;
}

inline constexpr auto kIk2Codes = ik_codes(std::array{-31, -13, 1, 17}, 5);
inline constexpr auto kIk3Codes = ik_codes(std::array{-63, -40, -23, -10, 1, 13, 28, 47}, 4);
inline constexpr auto kIk4Codes = ik_codes(
    std::array{-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113}, 4);
inline constexpr auto kIk5Codes = ik_codes(
    std::array{-126, -114, -103, -92, -83, -74, -65, -57, -50, -43, -36, -30, -24, -18, -12, -6,
               -1,   5,    11,   17,  23,  29,  36,  43,  51,  59,  68,  77,  87,  97,  109, 121},
    2);
inline constexpr auto kIk6Codes = ik_codes(
    std::array{-127, -121, -115, -109, -104, -98, -93, -88, -84, -79, -74, -70, -66, -62, -58, -54,
               -51,  -47,  -44,  -40,  -37,  -34, -31, -28, -25, -22, -19, -16, -13, -11, -8,  -5,
               -2,   0,    3,    6,    9,    12,  14,  17,  20,  23,  27,  30,  33,  36,  40,  44,
               47,   51,   55,   59,   63,   68,  72,  77,  82,  87,  92,  98,  103, 109, 115, 121},
    1);

}  // namespace crossval
