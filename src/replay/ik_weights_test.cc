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
  const WeightView rounded = ik_converted(m.view, stored, pool);
  for (int64_t r = 0; r < 3; ++r) EXPECT_EQ(m.row(rounded, r), m.row(m.view, r));
}

// Where a block's half floats lie: their exponents are kept small.
std::vector<size_t> places_of_halves(GgmlType type) {
  switch (type) {
    case GgmlType::Q2_K:
      return {80, 82};
    case GgmlType::Q3_K:
      return {108};
    case GgmlType::Q4_K:
    case GgmlType::Q5_K:
      return {0, 2};
    case GgmlType::Q6_K:
      return {208};
    case GgmlType::IQ1_M:
      return {54};
    default:
      return {0};
  }
}

Matrix matrix_of(GgmlType type) {
  Matrix m(type, 5);
  for (size_t block = 0; block < m.bytes.size();
       block += static_cast<size_t>(m.format.block_bytes)) {
    for (const size_t at : places_of_halves(type)) m.bytes[block + at + 1] &= std::byte{0x3f};
  }
  return m;
}

// Within half a step, with `n_codes` steps to the largest of each `length` weights, and the scale's
// own rounding to f16.
void expect_near(GgmlType type, size_t length, float n_codes) {
  const Matrix m = matrix_of(type);
  std::vector<std::byte> stored;
  ThreadPool pool(2);
  const WeightView rounded = ik_converted(m.view, stored, pool);
  for (int64_t r = 0; r < 5; ++r) {
    const std::vector<float> want = m.row(m.view, r), got = m.row(rounded, r);
    for (size_t block = 0; block < 512; block += length) {
      float largest = 0;
      for (size_t i = 0; i < length; ++i) largest = std::max(largest, std::fabs(want[block + i]));
      for (size_t i = 0; i < length; ++i) {
        EXPECT_NEAR(got[block + i], want[block + i], largest * (0.5f / n_codes + 1e-3f))
            << type_name(type) << ' ' << i;
      }
    }
  }
}

TEST(IkWeights, OthersAreNearestCodesOfTheLargest) {
  for (const GgmlType type :
       {GgmlType::IQ1_S, GgmlType::IQ1_M, GgmlType::IQ2_XXS, GgmlType::IQ2_XS, GgmlType::IQ2_S,
        GgmlType::IQ3_XXS, GgmlType::IQ3_S, GgmlType::IQ4_XS, GgmlType::Q2_K, GgmlType::Q3_K}) {
    EXPECT_STREQ(find_ik_conversion(type)->arithmetic, "q8_K, 8-bit weights");
    expect_near(type, 256, 123);
  }
  EXPECT_STREQ(find_ik_conversion(GgmlType::Q6_K)->arithmetic, "q8_2, 8-bit weights");
  expect_near(GgmlType::Q6_K, 32, 126);
  EXPECT_EQ(find_ik_conversion(GgmlType::Q4_0), nullptr);
}

// Codes of 4 and 5 bits stay; what is rounded are scales and minima, by half a unit of f16 each: of
// both together that is at most three times as much of the largest difference.
TEST(IkWeights, ScalesOfKQuantsBecomeHalves) {
  constexpr float error = 3.0f / 2048;
  for (const GgmlType type : {GgmlType::Q4_K, GgmlType::Q5_K}) {
    EXPECT_STREQ(find_ik_conversion(type)->arithmetic, "q8_2, f16 scales");
    expect_near(type, 32, 0.5f / error);
  }
}

// (Q3_K only where a code of -4 meets a scale of -32: its other multiples are at most 127.)
TEST(IkWeights, EveryConversionRounds) {
  for (const GgmlType type :
       {GgmlType::Q2_K, GgmlType::Q4_K, GgmlType::Q6_K, GgmlType::IQ4_XS, GgmlType::IQ3_S}) {
    const Matrix m = matrix_of(type);
    std::vector<std::byte> stored;
    ThreadPool pool(1);
    const WeightView rounded = ik_converted(m.view, stored, pool);
    EXPECT_NE(m.row(rounded, 0), m.row(m.view, 0)) << type_name(type);
  }
}

}  // namespace
}  // namespace crossval
