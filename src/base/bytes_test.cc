#include "base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace crossval {
namespace {

TEST(Bytes, a_read_that_does_not_fit_changes_nothing) {
  const std::array<std::byte, 5> data{std::byte{1}, std::byte{2}, {}, {}, std::byte{9}};
  ByteReader in(data);
  EXPECT_FALSE(in.read<uint64_t>());
  EXPECT_EQ(in.position(), 0u);
  EXPECT_EQ(in.read<uint32_t>(), 0x201u);
  EXPECT_FALSE(in.read<uint16_t>());
  EXPECT_FALSE(in.take(std::numeric_limits<uint64_t>::max()));
  EXPECT_EQ(in.remaining(), 1u);
  EXPECT_EQ(in.since(4).size(), 0u);
  EXPECT_EQ(in.read<uint8_t>(), 9);
  EXPECT_TRUE(in.take(0));
}

TEST(Bytes, overflow_is_seen) {
  EXPECT_FALSE(checked_mul(int64_t{1} << 62, 2));
  EXPECT_EQ(checked_mul(int64_t{1} << 31, 4), int64_t{1} << 33);
  EXPECT_FALSE(checked_add(std::numeric_limits<uint64_t>::max(), 1));
}

}  // namespace
}  // namespace crossval
