#include "gguf/types.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>

namespace crossval {
namespace {

int64_t bytes_of(GgmlType type, std::vector<int64_t> shape) {
  return tensor_bytes(type, shape).value_or(-1);
}

TEST(Types, ids_and_names_are_unique_and_found) {
  std::set<uint32_t> ids;
  std::set<std::string_view> names;
  for (const TypeInfo& info : all_types()) {
    EXPECT_TRUE(ids.insert(static_cast<uint32_t>(info.type)).second) << info.name;
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(find_type(info.type), &info);
    EXPECT_EQ(find_type_by_name(info.name), &info);
    EXPECT_TRUE(removed_type_advice(static_cast<uint32_t>(info.type)).empty());
  }
  EXPECT_EQ(find_type_by_name("q4_1")->type, GgmlType::Q4_1);
  for (const uint32_t id : {4u, 5u, 31u, 33u, 37u}) {
    EXPECT_EQ(find_type(id), nullptr);
    EXPECT_FALSE(removed_type_advice(id).empty());
  }
  EXPECT_EQ(find_type(0xffffffffu), nullptr);
}

TEST(Types, sizes) {
  EXPECT_EQ(bytes_of(GgmlType::F32, {3}), 12);
  EXPECT_EQ(bytes_of(GgmlType::Q4_1, {64, 3}), 2 * 20 * 3);
  EXPECT_EQ(bytes_of(GgmlType::Q6_K, {256, 2, 5}), 210 * 10);
  EXPECT_EQ(bytes_of(GgmlType::I2_S, {256, 256}), 256 * 256 / 4 + 32);
  EXPECT_EQ(bytes_of(GgmlType::IQ2_BN, {512, 7}), 7 * (512 / 4 + 4));
  EXPECT_EQ(bytes_of(GgmlType::F32, {0, 1 << 20}), 0);
}

TEST(Types, sizes_that_cannot_be) {
  // Bytes fit, elements do not: four of them lie in one byte.
  EXPECT_EQ(bytes_of(GgmlType::TQ2_0, {256, int64_t{1} << 56}), -1);
  EXPECT_GT(bytes_of(GgmlType::TQ2_0, {256, int64_t{1} << 54}), 0);
  const int64_t huge = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(bytes_of(GgmlType::Q4_1, {33, 2}), -1);
  EXPECT_EQ(bytes_of(GgmlType::F32, {huge}), -1);
  EXPECT_EQ(bytes_of(GgmlType::F32, {1 << 20, 1 << 20, 1 << 20, 1 << 20}), -1);
  EXPECT_EQ(bytes_of(GgmlType::I8, {-1, 2}), -1);
  EXPECT_EQ(bytes_of(GgmlType::I8, {2, -1}), -1);
  EXPECT_EQ(bytes_of(GgmlType::I8, {}), -1);
  // 63 bits of blocks, then the 32 bytes behind them.
  EXPECT_EQ(bytes_of(GgmlType::I2_S, {huge - 3, 4}), -1);
}

}  // namespace
}  // namespace crossval
