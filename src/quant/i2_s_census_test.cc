// Codes counted, damage told apart from a sound tensor, flavours told apart by size alone.
#include "quant/i2_s_census.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

namespace crossval {
namespace {

TEST(I2sCensus, CountsCodesAndNamesDamage) {
  constexpr int64_t n = 128 * 3 + 20;  // rows of no whole words
  std::vector<std::byte> bytes(n / 4 + 32, std::byte{0b00'01'10'01});
  const TensorView tensor = {.name = "w", .type = GgmlType::I2_S, .shape = {n, 1}, .data = bytes};
  ThreadPool pool(2);
  const auto with_scale = [&](float scale) {
    std::memcpy(bytes.data() + n / 4, &scale, sizeof scale);
    return count_i2_s(tensor, pool);
  };
  const I2sCensus sound = with_scale(0.5f);
  EXPECT_EQ(sound.n_codes[0], n / 4);
  EXPECT_EQ(sound.n_codes[1], n / 2);
  EXPECT_EQ(sound.n_codes[2], n / 4);
  EXPECT_EQ(sound.n_codes[3], 0);
  EXPECT_EQ(sound.scale, 0.5f);
  EXPECT_EQ(sound.damage(), "");
  EXPECT_NE(with_scale(0).damage(), "");
  EXPECT_NE(with_scale(-1).damage(), "");
  EXPECT_NE(with_scale(std::numeric_limits<float>::quiet_NaN()).damage(), "");
  bytes[n / 4 - 1] |= std::byte{0b11};  // in the bytes behind the last whole word
  EXPECT_EQ(with_scale(0.5f).n_codes[3], 1);
  EXPECT_NE(with_scale(0.5f).damage(), "");
}

TEST(I2sCensus, ATensorOfZerosMayHaveNoScale) {
  const std::vector<std::byte> codes(128 / 4, std::byte{0b01'01'01'01});
  std::vector<std::byte> bytes = codes;
  bytes.resize(bytes.size() + 32);
  const TensorView tensor = {.name = "w", .type = GgmlType::I2_S, .shape = {128, 1}, .data = bytes};
  ThreadPool pool(1);
  EXPECT_EQ(count_i2_s(tensor, pool).damage(), "");
}

TEST(I2sCensus, LayoutsWithCodesOfFourWeightsAreNotDamagedByThem) {
  const std::vector<std::byte> bytes(10 * 8, std::byte{0b11'10'01'00});
  TensorView tensor = {.name = "w", .type = GgmlType::I2_S, .shape = {128, 2}, .data = bytes};
  ThreadPool pool(1);
  for (const I2sLayout layout : {I2sLayout::bitnet32, I2sLayout::qk256}) {
    tensor.i2_s_layout = layout;
    tensor.data = bytes;
    const std::vector<std::byte> padded(128, std::byte{0b11'10'01'00});
    if (layout == I2sLayout::qk256) tensor.data = padded;
    const I2sCensus census = count_i2_s(tensor, pool);
    for (const int64_t count : census.n_codes) EXPECT_EQ(count, 64);
    EXPECT_EQ(census.damage(), "");
  }
}

}  // namespace
}  // namespace crossval
