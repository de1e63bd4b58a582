// The layouts of I2_S: told apart by size where sizes differ, never guessed where they do not.
#include "gguf/i2_s_layout.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace crossval {
namespace {

TEST(I2sLayout, SizesDecideOrNobodyDoes) {
  const std::vector<int64_t> square = {256, 256}, wide = {256, 1024}, small = {512, 1},
                             ragged = {300, 4};
  const auto by_size = [](const std::vector<int64_t>& shape, uint64_t n_bytes) {
    const I2sRoom room = {shape, n_bytes};
    return i2_s_layout_by_size({&room, 1}, 32);
  };
  EXPECT_EQ(by_size(square, 65536 / 4 + 32), I2sLayout::x86);
  EXPECT_EQ(by_size(square, 65536 / 4 + 63), I2sLayout::x86);
  EXPECT_EQ(by_size(square, 65536 / 32 * 10), I2sLayout::bitnet32);
  EXPECT_EQ(by_size(square, 65536 / 4), I2sLayout::qk256);
  EXPECT_EQ(by_size(ragged, 4 * 2 * 64), I2sLayout::qk256);
  EXPECT_EQ(by_size(square, 65536 / 4 + 64), std::nullopt);
  EXPECT_EQ(by_size(square, 65536), std::nullopt);
  EXPECT_EQ(by_size(small, 512 / 4 + 32), std::nullopt) << "also 16 blocks with their scales";
  const I2sRoom both[] = {{small, 160}, {wide, 262144 / 4 + 32}};
  EXPECT_EQ(i2_s_layout_by_size(both, 32), I2sLayout::x86) << "the other tensor decides";
  const I2sRoom neither[] = {{square, 65536 / 4}, {wide, 262144 / 4 + 32}};
  EXPECT_EQ(i2_s_layout_by_size(neither, 32), std::nullopt);
}

TEST(I2sLayout, EveryLayoutHasItsNameAndSize) {
  const std::vector<int64_t> shape = {256, 4};
  for (const I2sLayoutInfo& info : i2_s_layouts()) {
    EXPECT_EQ(find_i2_s_layout(info.name), &info);
    EXPECT_EQ(&i2_s_layout_info(info.layout), &info);
    EXPECT_GE(i2_s_bytes(info.layout, shape), 256);
  }
  EXPECT_EQ(find_i2_s_layout("auto"), nullptr);
  const std::vector<int64_t> narrow = {4, int64_t{1} << 60};  // each row in 64 bytes
  EXPECT_EQ(i2_s_bytes(I2sLayout::qk256, narrow), std::numeric_limits<int64_t>::max());
}

TEST(I2sLayout, RowsOfFourAreTurnedIntoRows) {
  const int64_t row_len = 256, n_rows = 8;
  std::mt19937 random(1);
  std::vector<unsigned> codes(static_cast<size_t>(row_len * n_rows));
  for (unsigned& code : codes) code = random() % 3;
  const auto code = [&](int64_t row, int64_t column) {
    return codes[static_cast<size_t>(row * row_len + column)];
  };
  std::vector<std::byte> stored, want;
  for (int64_t row = 0; row < n_rows; row += 4) {
    for (int64_t k = 0; k < row_len; ++k) {
      stored.push_back(static_cast<std::byte>(code(row, k) << 6 | code(row + 1, k) << 4 |
                                              code(row + 2, k) << 2 | code(row + 3, k)));
    }
  }
  for (int64_t row = 0; row < n_rows; ++row) {
    for (int64_t k = 0; k < row_len; k += 128) {
      for (int64_t p = k; p < k + 32; ++p) {
        want.push_back(static_cast<std::byte>(code(row, p) << 6 | code(row, p + 32) << 4 |
                                              code(row, p + 64) << 2 | code(row, p + 96)));
      }
    }
  }
  stored.push_back(std::byte{42});  // what is behind the codes stays
  want.push_back(std::byte{42});
  EXPECT_EQ(i2_s_rows4_to_x86(stored, row_len, n_rows), want);
}

TEST(I2sLayout, ScalesBesideAreJoined) {
  std::vector<std::byte> codes(16), scales(4);
  for (size_t i = 0; i < 16; ++i) codes[i] = static_cast<std::byte>(i);
  for (size_t i = 0; i < 4; ++i) scales[i] = static_cast<std::byte>(100 + i);
  const std::vector<std::byte> joined = i2_s_join_scales(codes, scales);
  ASSERT_EQ(joined.size(), 20u);
  EXPECT_EQ(joined[8], std::byte{100});
  EXPECT_EQ(joined[10], std::byte{8});
  EXPECT_EQ(joined[19], std::byte{103});
}

}  // namespace
}  // namespace crossval
