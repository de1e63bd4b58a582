// Blocks of Q4_1 (ggml's block_q4_1: d, m as f16, then 16 bytes of codes) changed in each way.
#include "replay/block_diff.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace crossval {
namespace {

constexpr int64_t kRowLen = 128, kRows = 8;
constexpr size_t kBlockBytes = 20;

std::vector<std::byte> random_blocks() {
  std::mt19937 random(3);
  std::vector<std::byte> bytes(kRowLen * kRows / 32 * kBlockBytes);
  for (size_t i = 0; i < bytes.size(); ++i) {
    // The upper byte of a scale keeps it a small finite number.
    const bool is_upper = i % kBlockBytes == 1 || i % kBlockBytes == 3;
    bytes[i] = static_cast<std::byte>(is_upper ? 0x2c : random() & 0xff);
  }
  return bytes;
}

std::optional<WeightDifference> describe(const std::vector<std::byte>& ours,
                                         const std::vector<std::byte>& theirs) {
  const auto view = [](const std::vector<std::byte>& bytes) {
    TensorView tensor{};
    tensor.name = "w";
    tensor.type = GgmlType::Q4_1;
    tensor.shape = {kRowLen, kRows};
    tensor.data = bytes;
    return tensor;
  };
  return describe_blocks(view(ours), view(theirs));
}

TEST(BlockDiff, zero_from_a_block_on) {
  const auto ours = random_blocks();
  auto theirs = ours;
  std::fill(theirs.begin() + kBlockBytes, theirs.end(), std::byte{0});
  const auto found = describe(ours, theirs);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cause, Cause::zero_blocks);
  EXPECT_NE(found->text.find("from block 1 of 32 on"), std::string::npos) << found->text;
}

TEST(BlockDiff, scales_of_the_block_before) {
  const auto ours = random_blocks();
  auto theirs = ours;
  for (size_t b = kBlockBytes; b < ours.size(); b += kBlockBytes) {
    std::copy_n(ours.begin() + static_cast<std::ptrdiff_t>(b - kBlockBytes), 4,
                theirs.begin() + static_cast<std::ptrdiff_t>(b));
  }
  const auto found = describe(ours, theirs);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cause, Cause::scales_shifted);
  EXPECT_NE(found->text.find("before"), std::string::npos) << found->text;
}

TEST(BlockDiff, codes_in_another_order) {
  const auto ours = random_blocks();
  auto theirs = ours;
  for (size_t b = 0; b < ours.size(); b += kBlockBytes) {
    int codes[32];
    for (size_t i = 0; i < 16; ++i) {
      codes[2 * i] = std::to_integer<int>(ours[b + 4 + i]) & 15;
      codes[2 * i + 1] = std::to_integer<int>(ours[b + 4 + i]) >> 4;
    }
    for (size_t i = 0; i < 16; ++i) {
      theirs[b + 4 + i] = static_cast<std::byte>(codes[i] | codes[i + 16] << 4);
    }
  }
  const auto found = describe(ours, theirs);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->cause, Cause::codes_permuted);
  EXPECT_NE(found->text.find("nibble"), std::string::npos) << found->text;
}

TEST(BlockDiff, other_weights_are_nothing_of_that) {
  const auto ours = random_blocks();
  auto theirs = ours;
  for (size_t i = 4; i < theirs.size(); i += kBlockBytes) theirs[i] ^= std::byte{0x11};
  theirs[25] ^= std::byte{0x70};
  EXPECT_FALSE(describe(ours, theirs));
}

}  // namespace
}  // namespace crossval
