// MXFP4's scales are never NaN, but the largest make weights that no float holds.
#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "quant/formats.h"

namespace crossval {
namespace {

TEST(Mxfp4, a_weight_past_the_largest_float_is_found) {
  const Format& format = *find_format(GgmlType::MXFP4);
  constexpr int len = 32, bytes = 17;
  std::array<std::byte, 2 * bytes> row{};
  const auto first_bad = [&](int scale, int code) {
    row[bytes] = static_cast<std::byte>(scale);     // of the second block
    row[bytes + 4] = static_cast<std::byte>(code);  // its weights 3 and 19
    return format.first_non_finite(row.data(), 2 * len);
  };
  const int64_t none = -1, low = len + 3, high = len + 19;
  EXPECT_EQ(first_bad(251, 0x77), none);
  EXPECT_EQ(first_bad(255, 0x11), none);
  EXPECT_EQ(first_bad(253, 0x07), low);
  EXPECT_EQ(first_bad(253, 0xf0), high);  // -12
  for (int scale = 0; scale < 256; ++scale) {
    for (int code = 0; code < 256; ++code) {
      const int64_t found = first_bad(scale, code);
      std::array<float, 2 * len> weights;
      format.dequantize(row.data(), 2 * len, weights.data());
      bool any = false;
      for (const float weight : weights) any = any || !std::isfinite(weight);
      ASSERT_EQ(found >= 0, any) << scale << " " << code;
      if (any) {
        ASSERT_FALSE(std::isfinite(weights[static_cast<size_t>(found)]));
      }
    }
  }
}

}  // namespace
}  // namespace crossval
