// IQ2_BN: layout against the written rule; products against the real ik_llama.cpp bit for bit; the
// same bits for any threads, cut of the tokens or packing.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "quant/format_rows.h"
#include "quant/isa.h"
#include "quant/matmul.h"
#include "support/golden.h"

namespace crossval {
namespace {

using testing::fnv;
using testing::Numbers;

struct Stored {
  Stored(int64_t n_rows, int64_t row_len) {
    tensor.name = std::string("w");
    tensor.type = GgmlType::IQ2_BN;
    tensor.shape = {row_len, n_rows};
  }
  void row(float scale, Numbers& numbers) {
    const auto* of_scale = reinterpret_cast<const std::byte*>(&scale);
    bytes.insert(bytes.end(), of_scale, of_scale + sizeof scale);
    for (int64_t i = 0; i < tensor.shape[0] / 4; ++i) {
      const uint32_t random = numbers.next();
      unsigned packed = 0;
      for (int j = 0; j < 4; ++j) packed |= (random >> (4 * j)) % 3 << (2 * j);
      bytes.push_back(static_cast<std::byte>(packed));
    }
    tensor.data = bytes;
  }
  // By the rule, not by the code under test.
  int code(int64_t row, int64_t k) const {
    const int64_t at = row * (4 + tensor.shape[0] / 4) + 4 + k / 64 * 16 + k % 16;
    return static_cast<int>(bytes[static_cast<size_t>(at)]) >> (2 * (k % 64 / 16)) & 3;
  }
  std::vector<std::byte> bytes;
  TensorView tensor;
};

// Hashes of what quantize_row_q8_K64 and vec_dot_iq2_bn_q8_K64 of ik_llama.cpp (its wheel 0.1.5)
// give for 16 products of these rows and activations. Its AVX2 path is wrong where a row is an odd
// number of blocks (the last block's second half meets the first half's activations,
// iqk_gemm_1bit.cpp `mul_mat_iq2bn_q8_K64`), so no such length is here.
TEST(Iq2Bn, ProductsAreThoseOfTheRealEngineBitForBit) {
  const std::pair<int64_t, uint64_t> goldens[] = {
      {512, 0x69ce4c8d5c3e3032u}, {1536, 0x114e404ad9616d58u}, {2560, 0x836f0791de15b81au}};
  ThreadPool pool(1);
  for (const auto& [n, hash] : goldens) {
    Numbers numbers;
    float y[16];
    for (int r = 0; r < 16; ++r) {
      Stored stored(1, n);
      stored.row(static_cast<float>(0.01 + r / 97.0), numbers);
      std::vector<float> x;
      for (int64_t i = 0; i < n; ++i) {
        x.push_back(static_cast<float>((static_cast<int>(numbers.next() % 20001) - 10000) / 3e3));
      }
      matmul(weight_view(stored.tensor), x.data(), n, 1, y + r, 1, Numerics::ggml, pool);
    }
    EXPECT_EQ(fnv(y, sizeof y), hash) << n;
  }
}

std::vector<float> random_floats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

Stored random_matrix(int64_t n_rows, int64_t n) {
  Stored stored(n_rows, n);
  Numbers numbers;
  for (int64_t r = 0; r < n_rows; ++r) stored.row(0.1f + 0.01f * static_cast<float>(r), numbers);
  return stored;
}

float expected(const Stored& stored, int64_t row, const float* x, int64_t n) {
  float part[4];
  for (int c = 0; c < 4; ++c) {
    float max = 0;
    for (int64_t k = 0; k < n; ++k) {
      if (k % 16 / 4 == c) max = std::max(max, std::fabs(x[k]));
    }
    const float d = max / 127.0f, factor = d > 0 ? 1.0f / d : 0.0f;
    int64_t products = 0, sum = 0;
    for (int64_t k = 0; k < n; ++k) {
      if (k % 16 / 4 != c) continue;
      const auto v = static_cast<int64_t>(std::nearbyint(x[k] * factor));
      products += stored.code(row, k) * v;
      sum += v;
    }
    part[c] = std::fma(d, static_cast<float>(products), -(d * static_cast<float>(sum)));
  }
  const float scale = 0.1f + 0.01f * static_cast<float>(row);
  return scale * ((part[0] + part[2]) + (part[1] + part[3]));
}

TEST(Iq2Bn, MatmulIsTheRuleWhateverThreadsAndCuts) {
  const int64_t n = 1024 + 576, n_rows = 53, n_tokens = 70;
  const Stored stored = random_matrix(n_rows, n);
  const WeightView w = weight_view(stored.tensor);
  std::vector<float> x = random_floats(n_tokens * n, 3);
  std::fill_n(x.begin() + 5 * n, n, 0.0f);
  for (const int64_t step : {int64_t{1}, int64_t{7}, n_tokens}) {
    ThreadPool pool(step == 7 ? 3 : 1);
    std::vector<float> y(static_cast<size_t>(n_tokens * n_rows));
    for (int64_t t = 0; t < n_tokens; t += step) {
      matmul(w, x.data() + t * n, n, std::min(step, n_tokens - t), y.data() + t * n_rows, n_rows,
             Numerics::ggml, pool);
    }
    for (int64_t t = 0; t < n_tokens; ++t) {
      for (int64_t r = 0; r < n_rows; ++r) {
        ASSERT_EQ(y[static_cast<size_t>(t * n_rows + r)], expected(stored, r, x.data() + t * n, n))
            << t << " " << r;
      }
    }
  }
}

TEST(Iq2Bn, RowsAndExactProducts) {
  const int64_t n = 640, n_rows = 20;
  const Stored stored = random_matrix(n_rows, n);
  const WeightView w = weight_view(stored.tensor);
  ThreadPool pool(1);
  for (const int64_t n_tokens : {1, 3}) {
    const std::vector<float> x = random_floats(n_tokens * n, 5);
    std::vector<float> y(static_cast<size_t>(n_tokens * n_rows)), row(static_cast<size_t>(n));
    matmul(w, x.data(), n, n_tokens, y.data(), n_rows, Numerics::exact, pool);
    for (int64_t r = 0; r < n_rows; ++r) {
      get_row(w, r, row.data());
      const float scale = 0.1f + 0.01f * static_cast<float>(r);
      for (int64_t t = 0; t < n_tokens; ++t) {
        double want = 0;
        for (int64_t k = 0; k < n; ++k) {
          ASSERT_EQ(row[static_cast<size_t>(k)], scale * static_cast<float>(stored.code(r, k) - 1));
          want += double{row[static_cast<size_t>(k)]} * double{x[static_cast<size_t>(t * n + k)]};
        }
        EXPECT_NEAR(y[static_cast<size_t>(t * n_rows + r)], want, 1e-4);
      }
    }
  }
}

TEST(Iq2Bn, NonFiniteValuesReachTheResults) {
  const int64_t n = 256, n_rows = 20;
  ThreadPool pool(1);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Stored stored = random_matrix(n_rows, n);
    EXPECT_EQ(find_non_finite(stored.tensor, pool), -1);
    std::vector<float> x = random_floats(2 * n, 7), y(static_cast<size_t>(2 * n_rows));
    x[static_cast<size_t>(n) + 100] = bad;
    matmul(weight_view(stored.tensor), x.data(), n, 2, y.data(), n_rows, Numerics::ggml, pool);
    for (size_t i = 0; i < y.size(); ++i) {
      EXPECT_EQ(std::isnan(y[i]), i >= static_cast<size_t>(n_rows));
    }
    std::memcpy(stored.bytes.data() + 3 * (4 + n / 4), &bad, sizeof bad);
    EXPECT_EQ(find_non_finite(stored.tensor, pool), 3 * n);
  }
}

TEST(Iq2Bn, VectorPackingGivesTheReferenceCodes) {
  if (kIQ2_BN.pack_avx2 == nullptr || !cpu_has(Isa::avx2)) return;
  constexpr int64_t n = 1024;
  const Stored stored = random_matrix(kPanelRows, n);
  const WeightView w = weight_view(stored.tensor);
  std::vector<uint8_t> panel(n * kPanelRows);
  std::vector<float> scales(n / 16 * kPanelRows);
  kIQ2_BN.pack_avx2(w.data, w.row_bytes, n, {panel.data(), scales.data(), nullptr});
  for (int64_t r = 0; r < kPanelRows; ++r) {
    for (int64_t k = 0; k < n; ++k) {
      ASSERT_EQ(panel[static_cast<size_t>((k / 4 * kPanelRows + r) * 4 + k % 4)],
                stored.code(r, k));
    }
  }
  for (const float scale : scales) EXPECT_EQ(scale, 1.0f);
}

}  // namespace
}  // namespace crossval
