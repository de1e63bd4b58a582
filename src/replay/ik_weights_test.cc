// Weights rounded to 8 bits as ik_llama.cpp does it for many ids: exact where the codes suffice,
// else within half a step. That they are ik's own to the bit, tests/trace_test.cc shows.
#include "replay/ik_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "quant/formats.h"

namespace crossval {
namespace {

struct Matrix {
  Matrix(GgmlType type, int64_t n_rows) : format(*find_format(type)) {
    std::mt19937 random(5);
    bytes.resize(static_cast<size_t>(n_rows * 2 * format.block_bytes));
    for (auto& b : bytes) b = static_cast<std::byte>(random());
    view = {.format = &format,
            .data = bytes.data(),
            .n_rows = n_rows,
            .row_len = 512,
            .row_bytes = 2 * format.block_bytes};
  }
  std::vector<float> row(const WeightView& w, int64_t r) const {
    std::vector<float> values(512);
    get_row(w, r, values.data());
    return values;
  }
  const Format& format;
  std::vector<std::byte> bytes;
  WeightView view;
};

// Of scales 1 in every sub-block the multiples are the values themselves, at most 43.
TEST(IkWeights, SmallMultiplesAreKept) {
  Matrix m(GgmlType::IQ2_XS, 3);
  for (size_t block = 0; block < m.bytes.size(); block += 74) {
    m.bytes[block] = std::byte{0};
    m.bytes[block + 1] = std::byte{0x34};  // 1/4 as f16
    std::fill_n(m.bytes.begin() + static_cast<std::ptrdiff_t>(block) + 66, 8, std::byte{0});
  }
  std::vector<std::byte> stored;
  ThreadPool pool(1);
  const WeightView rounded = ik_rounded_to_8_bits(m.view, stored, pool);
  for (int64_t r = 0; r < 3; ++r) EXPECT_EQ(m.row(rounded, r), m.row(m.view, r));
}

TEST(IkWeights, OthersAreNearestCodesOfTheLargest) {
  for (const GgmlType type : {GgmlType::IQ1_S, GgmlType::IQ1_M, GgmlType::IQ2_XXS, GgmlType::IQ2_XS,
                              GgmlType::IQ2_S, GgmlType::IQ3_XXS, GgmlType::IQ3_S}) {
    ASSERT_TRUE(ik_rounds_to_8_bits(type));
    Matrix m(type, 5);
    for (size_t block = 0; block < m.bytes.size();
         block += static_cast<size_t>(m.format.block_bytes)) {
      if (type == GgmlType::IQ1_M) {
        m.bytes[block + 55] &= std::byte{0xbf};
      } else {
        m.bytes[block + 1] &= std::byte{0x3f};
      }
    }
    std::vector<std::byte> stored;
    ThreadPool pool(2);
    const WeightView rounded = ik_rounded_to_8_bits(m.view, stored, pool);
    for (int64_t r = 0; r < 5; ++r) {
      const std::vector<float> want = m.row(m.view, r), got = m.row(rounded, r);
      for (size_t block = 0; block < 512; block += 256) {
        float largest = 0;
        for (size_t i = 0; i < 256; ++i) largest = std::max(largest, std::fabs(want[block + i]));
        for (size_t i = 0; i < 256; ++i) {
          // Half a step of at least 124, and the scale's own rounding to f16.
          EXPECT_NEAR(got[block + i], want[block + i], largest * (0.5f / 123 + 1e-3f)) << i;
        }
      }
    }
  }
  EXPECT_FALSE(ik_rounds_to_8_bits(GgmlType::Q4_0));
}

}  // namespace
}  // namespace crossval
