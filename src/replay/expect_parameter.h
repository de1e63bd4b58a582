// How a parameter of an operation is put right. For expectations.cc and expect_attention.cc.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

#include "replay/expectations.h"

namespace crossval {

// Ids, positions and scales are stored as they are said: anything beyond f32 rounding differs.
inline bool alike(float a, float b) {
  return std::abs(a - b) <= 2e-6f * std::max(std::abs(a), std::abs(b));
}

inline float as_float(int32_t word) { return std::bit_cast<float>(word); }

// Makes a float parameter what it should be; one fault when it was not.
inline void expect_float(Expected& expected, size_t index, float value, Cause cause,
                         const char* what) {
  int32_t& word = expected.operation.params[index];
  const float found = as_float(word);
  if (alike(found, value)) return;
  expected.faults.push_back(
      {cause, what, fmt::format("{:.6g}", value), fmt::format("{:.6g}", found)});
  word = std::bit_cast<int32_t>(value);
}

inline void expect_int(Expected& expected, size_t index, int32_t value, Cause cause,
                       const char* what) {
  int32_t& word = expected.operation.params[index];
  if (word == value) return;
  expected.faults.push_back({cause, what, std::to_string(value), std::to_string(word)});
  word = value;
}

}  // namespace crossval
