#include "native/kv_rounding.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace crossval {
namespace {

TEST(KvRounding, NamesGoBothWays) {
  for (const KvType type : {KvType::f32, KvType::f16, KvType::q8_0}) {
    EXPECT_EQ(find_kv_type(kv_type_name(type)), type);
  }
  EXPECT_FALSE(find_kv_type("q4_0"));
}

TEST(KvRounding, EightBitsABlockOf32) {
  std::vector<float> row(64);
  for (int i = 0; i < 64; ++i) row[static_cast<size_t>(i)] = (i < 32 ? 1.0f : 100.0f) * (i - 31.3f);
  std::vector<float> rounded = row;
  round_to_kv_type(KvType::q8_0, rounded.data(), 64);
  double largest = 0;
  for (size_t i = 0; i < 32; ++i) {
    largest = std::max(largest, std::abs(double{rounded[i]} - row[i]));
  }
  EXPECT_LT(largest, 0.51 * 31.3 / 127 + 31.3 * 0x1p-11);  // half a step, and the scale's rounding
  EXPECT_GT(largest, 0.3 * 31.3 / 127);
  EXPECT_NE(rounded, row);
  std::vector<float> short_row = {1.234567f, 2};
  round_to_kv_type(KvType::q8_0, short_row.data(), 2);
  EXPECT_EQ(short_row[0], 1.234567f);
  std::vector<float> zeros(32);
  round_to_kv_type(KvType::q8_0, zeros.data(), 32);
  EXPECT_EQ(zeros, std::vector<float>(32));
}

}  // namespace
}  // namespace crossval
