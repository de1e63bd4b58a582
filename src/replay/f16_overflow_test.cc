// What half floats do not hold is an overflow, unless it is a mask.
#include "replay/f16_overflow.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>

#include "base/half.h"

namespace crossval {
namespace {

template <typename T>
TapData data_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

TEST(F16Overflow, AMaskBecomesInfOnPurposeValuesDoNot) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  // Of three values stored as halves.
  const auto overflow = [&](const std::vector<float>& x, const std::vector<float>& y) {
    std::vector<uint16_t> halves(y.size());
    f32_to_f16_row(y.data(), static_cast<int64_t>(y.size()), halves.data());
    Tap tap;
    tap.op = "CPY";
    tap.sources = {{.name = "x", .ne = {3, 1, 1, 1}, .data = data_of(x)}};
    tap.out = {.name = "y", .type = GgmlType::F16, .ne = {3, 1, 1, 1}, .data = data_of(halves)};
    return f16_overflow(tap);
  };
  EXPECT_TRUE(overflow({1, 1e5f, 2}, {1, kInf, 2}));
  EXPECT_TRUE(overflow({1e30f, -2e30f, 2}, {kInf, -kInf, 2}));
  EXPECT_FALSE(overflow({1e30f, -1e30f, 2}, {kInf, -kInf, 2}));
  EXPECT_FALSE(overflow({1, 6e4f, 2}, {1, 6e4f, 2}));
}

}  // namespace
}  // namespace crossval
