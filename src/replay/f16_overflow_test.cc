// What half floats do not hold is an overflow, unless it is a mask.
#include "replay/f16_overflow.h"

#include <gtest/gtest.h>

#include <limits>

#include "replay/sample_taps.h"

namespace crossval {
namespace {

TEST(F16Overflow, AMaskBecomesInfOnPurposeValuesDoNot) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const testing::Shape shape = {3, 1, 1, 1};
  const auto overflow = [&](const std::vector<float>& x, const std::vector<float>& y) {
    return f16_overflow(
        testing::tap_of("CPY", testing::halves(shape, y), {testing::floats(shape, x)}));
  };
  EXPECT_TRUE(overflow({1, 1e5f, 2}, {1, kInf, 2}));
  EXPECT_TRUE(overflow({1e30f, -2e30f, 2}, {kInf, -kInf, 2}));
  EXPECT_FALSE(overflow({1e30f, -1e30f, 2}, {kInf, -kInf, 2}));
  EXPECT_FALSE(overflow({1, 6e4f, 2}, {1, 6e4f, 2}));
}

}  // namespace
}  // namespace crossval
