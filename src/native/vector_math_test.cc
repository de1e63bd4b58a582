// The vector kernels against their scalar references, bit for bit, and against long double.
#include "native/vector_math.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

namespace crossval {
namespace {

TEST(ExpRow, EqualsTheScalarReferenceBitForBit) {
  std::vector<float> x;
  for (float v = -110.0f; v < 95.0f; v += 0.0137f) x.push_back(v);
  x.insert(x.end(), {0.0f, -0.0f, std::numeric_limits<float>::infinity(),
                     -std::numeric_limits<float>::infinity(), 88.72f, -103.9f});
  std::vector<float> vector = x, reference = x;
  exp_row(vector.data(), static_cast<int>(x.size()));
  scalar::exp_row(reference.data(), static_cast<int>(x.size()));
  for (size_t i = 0; i < x.size(); ++i) {
    EXPECT_EQ(0, std::memcmp(&vector[i], &reference[i], sizeof(float))) << x[i];
  }
}

TEST(ExpRow, IsWithinTwoUnitsInTheLastPlace) {
  for (float v = -86.0f; v < 88.0f; v += 0.00731f) {
    float y = v;
    exp_row(&y, 1);
    const double exact = std::exp(static_cast<double>(v));
    EXPECT_NEAR(y / exact, 1.0, 2.4e-7) << v;
  }
}

TEST(ExpRow, KeepsNanAndTheEndsOfTheRange) {
  const float inf = std::numeric_limits<float>::infinity();
  std::vector<float> x = {NAN, inf, -inf, 1000, -1000, 0, NAN, 1, 2};
  exp_row(x.data(), static_cast<int>(x.size()));
  EXPECT_TRUE(std::isnan(x[0]));
  EXPECT_EQ(x[1], inf);
  EXPECT_EQ(x[2], 0.0f);
  EXPECT_EQ(x[3], inf);
  EXPECT_EQ(x[4], 0.0f);
  EXPECT_EQ(x[5], 1.0f);
  EXPECT_TRUE(std::isnan(x[6]));
}

TEST(SoftmaxRow, SumsToOneAndANanReachesEveryWeight) {
  std::vector<float> x = {1, 2, 3, -50, 2.5f, 0, 7, 7, 1};
  softmax_row(x.data(), static_cast<int>(x.size()));
  double sum = 0;
  for (float v : x) sum += v;
  EXPECT_NEAR(sum, 1.0, 1e-6);
  EXPECT_EQ(x[6], x[7]);
  x[3] = NAN;
  softmax_row(x.data(), static_cast<int>(x.size()));
  for (float v : x) EXPECT_TRUE(std::isnan(v));
}

TEST(AccumulateOuter, EqualsTheScalarReferenceForEveryNumberOfRows) {
  std::mt19937 random(7);
  std::normal_distribution<float> normal;
  for (int n_rows = 0; n_rows <= 20; ++n_rows) {
    const int n_terms = 37, a_stride = 41, b_stride = 18, out_stride = 16;
    std::vector<float> a(static_cast<size_t>(n_rows) * a_stride + 1), b(n_terms * b_stride);
    std::vector<float> out(static_cast<size_t>(n_rows) * out_stride + 1, 0.5f);
    for (float& v : a) v = normal(random);
    for (float& v : b) v = normal(random);
    std::vector<float> reference = out;
    accumulate_outer(
        {n_rows, n_terms, a.data(), a_stride, b.data(), b_stride, out.data(), out_stride});
    scalar::accumulate_outer(
        {n_rows, n_terms, a.data(), a_stride, b.data(), b_stride, reference.data(), out_stride});
    EXPECT_EQ(out, reference) << n_rows;
  }
}

TEST(RmsNormRow, MatchesADoubleReference) {
  const std::vector<float> x = {1, -2, 3, 0.5f, 100, -7, 2}, weight = {1, 2, 0.5f, 1, 1, 3, -1};
  std::vector<float> y(x.size());
  rms_norm_row(x.data(), weight.data(), static_cast<int>(x.size()), 1e-5f, y.data());
  double sum = 0;
  for (float v : x) sum += static_cast<double>(v) * v;
  const double scale = 1 / std::sqrt(sum / static_cast<double>(x.size()) + 1e-5);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(y[i], x[i] * scale * weight[i], 1e-6);
}

TEST(SiluMultiplyRow, MatchesADoubleReference) {
  std::vector<float> gate, up;
  for (int i = 0; i < 61; ++i) {
    gate.push_back(static_cast<float>(i - 30) * 0.77f);
    up.push_back(static_cast<float>(i % 5) - 1.5f);
  }
  std::vector<float> y = gate;
  silu_multiply_row(up.data(), static_cast<int>(y.size()), y.data());
  for (size_t i = 0; i < y.size(); ++i) {
    const double g = gate[i];
    EXPECT_NEAR(y[i], g / (1 + std::exp(-g)) * up[i], 1e-6 * (1 + std::abs(g * up[i])));
  }
}

TEST(ReluSquaredMultiplyRow, IsTheFormulaAndKeepsNan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> gate = {-2, 0, 3, 0.5f, nan};
  const std::vector<float> up = {5, 5, -2, 8, 1};
  relu_squared_multiply_row(up.data(), static_cast<int>(gate.size()), gate.data());
  EXPECT_EQ(std::vector<float>(gate.begin(), gate.end() - 1), (std::vector<float>{0, 0, -18, 2}));
  EXPECT_TRUE(std::isnan(gate.back()));
}

}  // namespace
}  // namespace crossval
