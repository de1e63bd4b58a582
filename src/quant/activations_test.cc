// Rounding of activations against values worked out from ggml's rules by hand.
#include "quant/activations.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/half.h"

namespace crossval {
namespace {

PreparedActivations round(const std::vector<float>& x, GgmlType type) {
  ThreadPool pool(1);
  PreparedActivations out;
  const auto n = static_cast<int64_t>(x.size());
  prepare_activations(x.data(), n, 1, n, *find_format(type), Numerics::ggml, out, pool);
  return out;
}

TEST(Activations, Q8TiesGoToEven) {
  std::vector<float> x(32, 0.0f);
  x[0] = 127.0f;  // factor 1, d 1
  x[1] = 2.5f;
  x[2] = 3.5f;
  x[3] = -2.5f;
  x[4] = -0.5f;
  const PreparedActivations a = round(x, GgmlType::Q4_1);
  EXPECT_EQ(a.codes[0], 127);
  EXPECT_EQ(a.codes[1], 2);
  EXPECT_EQ(a.codes[2], 4);
  EXPECT_EQ(a.codes[3], -2);
  EXPECT_EQ(a.codes[4], 0);
  EXPECT_EQ(a.d[0], 1.0f);
  EXPECT_EQ(a.s[0], 131.0f);
}

TEST(Activations, Q8ScaleIsKeptAsF16ButCodesUseTheF32Factor) {
  std::vector<float> x(32, 0.1f);
  x[7] = 1.0f / 3.0f;
  const PreparedActivations a = round(x, GgmlType::Q4_1);
  const float amax = 1.0f / 3.0f;
  EXPECT_EQ(a.d[0], f16_to_f32(f32_to_f16(amax / 127.0f)));
  EXPECT_EQ(a.codes[0], static_cast<int>(std::nearbyint(0.1f * (127.0f / amax))));
  EXPECT_EQ(a.s[0],
            f16_to_f32(f32_to_f16(amax / 127.0f * static_cast<float>(127 + 31 * a.codes[0]))));
}

TEST(Activations, Q8KUsesTheSignOfTheLargestValue) {
  std::vector<float> x(256, 1.0f);
  x[100] = 2.0f;
  const PreparedActivations a = round(x, GgmlType::Q6_K);
  EXPECT_EQ(a.codes[100], -127);
  EXPECT_EQ(a.codes[0], -64);  // -63.5: half to even
  EXPECT_EQ(a.d[0], 1.0f / (-127.0f / 2.0f));
  EXPECT_EQ(a.sums[0], 32 * 16 * -64);
}

TEST(Activations, ZerosAndTinyValuesAreZeroAndNonFiniteOnesPoisonTheirBlock) {
  std::vector<float> x(96, 0.0f);
  x[40] = 1e-38f;
  x[70] = std::numeric_limits<float>::infinity();
  const PreparedActivations a = round(x, GgmlType::Q8_0);
  EXPECT_EQ(a.d[0], 0.0f);
  EXPECT_EQ(a.d[1], 0.0f);
  EXPECT_TRUE(std::isnan(a.d[2]));
  for (const int8_t code : a.codes) EXPECT_EQ(code, 0);
}

TEST(Activations, FitOnlyWhatTheyWereRoundedFor) {
  const PreparedActivations a = round(std::vector<float>(256, 1.0f), GgmlType::Q4_1);
  EXPECT_TRUE(a.fits(*find_format(GgmlType::Q4_1), Numerics::ggml));
  EXPECT_TRUE(a.fits(*find_format(GgmlType::Q5_1), Numerics::ggml));
  EXPECT_FALSE(a.fits(*find_format(GgmlType::Q4_0), Numerics::ggml));
  EXPECT_FALSE(a.fits(*find_format(GgmlType::Q4_1), Numerics::exact));
  EXPECT_FALSE(a.fits(*find_format(GgmlType::Q6_K), Numerics::ggml));
}

}  // namespace
}  // namespace crossval
