// The int16 sums of bitnet.cpp's kernel: modelled, and predicted from codes alone.
#include "quant/i2_s_wraps.h"

#include <gtest/gtest.h>

#include <random>

namespace crossval {
namespace {

TEST(I2sWraps, AllCodesTwoAtTheLimitWrapFrom2560Weights) {
  const auto wraps = [](int64_t n, uint8_t code, int8_t activation) {
    const std::vector<uint8_t> codes(static_cast<size_t>(n), code);
    const std::vector<int8_t> activations(static_cast<size_t>(n), activation);
    return i2_s_sums(codes.data(), activations.data(), n);
  };
  EXPECT_FALSE(wraps(2048, 2, 127).wrapped());
  EXPECT_TRUE(wraps(2560, 2, 127).wrapped());  // seen on the real engine
  EXPECT_TRUE(wraps(2560, 2, -127).wrapped());
  EXPECT_FALSE(wraps(4096, 1, 127).wrapped());
  EXPECT_FALSE(wraps(1 << 16, 1, 127).wrapped()) << "sums move to int32 every 4096 weights";
  const I2sSums sums = wraps(2560, 2, 127);
  EXPECT_EQ(sums.exact, 2 * 127 * 2560);
  EXPECT_EQ(sums.kernel, sums.exact - 16 * 65536);
}

// The kernel's loop, step by step in int16.
int64_t kernel_by_steps(const std::vector<uint8_t>& codes, const std::vector<int8_t>& a) {
  const size_t n = codes.size();
  int64_t total = 0;
  for (size_t start = 0; start < n; start += 4096) {
    int16_t accumulator[16] = {};
    for (size_t block = start; block < std::min(n, start + 4096); block += 128) {
      for (size_t lane = 0; lane < 16; ++lane) {
        for (size_t k = block; k < block + 128; k += 32) {
          const size_t at = k + 2 * lane;
          const int product = codes[at] * a[at] + codes[at + 1] * a[at + 1];
          accumulator[lane] = static_cast<int16_t>(accumulator[lane] + product);
        }
      }
    }
    for (const int16_t sum : accumulator) total += sum;
  }
  return total;
}

TEST(I2sWraps, SumsAreTheKernelsAndRiskCoversEveryWrap) {
  std::mt19937 random(3);
  int n_wrapped = 0, n_not = 0;
  for (int trial = 0; trial < 60; ++trial) {
    const size_t n = 128 * (1 + random() % 70);
    const unsigned lowest = trial % 3;
    std::vector<uint8_t> codes(n);
    std::vector<int8_t> a(n);
    for (auto& c : codes) c = static_cast<uint8_t>(lowest + random() % (3 - lowest));
    for (auto& v : a) v = static_cast<int8_t>(trial % 2 != 0 ? 127 : random() % 255 - 127);
    std::vector<std::byte> packed(n / 4);
    for (size_t p = 0; p < packed.size(); ++p) {
      const size_t first = p / 32 * 128 + p % 32;
      packed[p] = static_cast<std::byte>(codes[first] << 6 | codes[first + 32] << 4 |
                                         codes[first + 64] << 2 | codes[first + 96]);
    }
    const I2sSums sums = i2_s_sums(codes.data(), a.data(), static_cast<int64_t>(n));
    EXPECT_EQ(sums.kernel, kernel_by_steps(codes, a));
    const int32_t worst = i2_s_worst_sum(packed.data(), static_cast<int64_t>(n));
    EXPECT_TRUE(!sums.wrapped() || worst > INT16_MAX);
    EXPECT_TRUE(trial % 2 == 0 || sums.wrapped() == (worst > INT16_MAX));
    (sums.wrapped() ? n_wrapped : n_not)++;
  }
  EXPECT_GT(n_wrapped, 5);
  EXPECT_GT(n_not, 5);
}

TEST(I2sWraps, OfATensorAndOfARun) {
  const int64_t n = 2560, n_rows = 3;
  std::vector<std::byte> bytes(static_cast<size_t>(n_rows * n / 4 + 32), std::byte{0x55});
  for (int64_t i = 0; i < n / 4; ++i) bytes[static_cast<size_t>(n / 4 + i)] = std::byte{0xaa};
  TensorView tensor;
  tensor.type = GgmlType::I2_S;
  tensor.shape = {n, n_rows};
  tensor.data = bytes;
  ThreadPool pool(2);
  EXPECT_EQ(i2_s_wrap_risk(tensor, pool).n_rows, 1);
  EXPECT_EQ(i2_s_wrap_risk(tensor, pool).largest, 2 * 127 * 160);
  std::vector<float> x(static_cast<size_t>(2 * n), 1.0f);
  for (int64_t k = 0; k < n; ++k) x[static_cast<size_t>(k)] = k % 2 != 0 ? 1.0f : -1.0f;
  const I2sWraps wraps = find_i2_s_wraps(weight_view(tensor), x.data(), n, 2, pool);
  EXPECT_EQ(wraps.n_outputs, 1);
  EXPECT_EQ(wraps.token, 1);
  EXPECT_EQ(wraps.row, 1);
  EXPECT_TRUE(wraps.sums.wrapped());
}

}  // namespace
}  // namespace crossval
