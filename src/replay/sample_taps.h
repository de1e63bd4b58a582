// Taps for the tests of this folder: tensors of given values, and what replay makes of them.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/half.h"
#include "replay/replay.h"

namespace crossval::testing {

using Shape = std::array<int64_t, 4>;

inline std::vector<float> random_floats(int64_t n, unsigned seed, float deviation = 1) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = normal(engine);
  return values;
}

template <typename T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

inline TapTensor floats(const Shape& ne, const std::vector<float>& values, const char* name = "x") {
  return {
      .name = name, .type = GgmlType::F32, .ne = ne, .is_weight = false, .data = bytes_of(values)};
}

inline TapTensor integers(const Shape& ne, const std::vector<int32_t>& values) {
  return {
      .name = "ids", .type = GgmlType::I32, .ne = ne, .is_weight = false, .data = bytes_of(values)};
}

inline TapTensor halves(const Shape& ne, const std::vector<float>& values) {
  std::vector<uint16_t> stored(values.size());
  f32_to_f16_row(values.data(), static_cast<int64_t>(values.size()), stored.data());
  return {.name = "half",
          .type = GgmlType::F16,
          .ne = ne,
          .is_weight = false,
          .data = bytes_of(stored)};
}

inline Tap tap_of(std::string op, TapTensor out, std::vector<TapTensor> sources,
                  std::vector<int32_t> params = {}) {
  Tap tap;
  tap.op = std::move(op);
  tap.out = std::move(out);
  tap.sources = std::move(sources);
  std::copy(params.begin(), params.end(), tap.params.begin());
  return tap;
}

inline int32_t bits(float value) { return std::bit_cast<int32_t>(value); }

inline Replayed replayed(const Tap& tap, const WeightSource& weights = {}) {
  ThreadPool pool(2);
  Replayed result = replay(tap, weights, pool);
  EXPECT_EQ(result.status, ReplayStatus::replayed) << result.reason;
  return result;
}

}  // namespace crossval::testing
