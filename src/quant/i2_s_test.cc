// I2_S: its layout against the written rule, its matmul against the real bitnet.cpp bit for bit
// (tests/data/bitnet-i2s), and the same bits for any threads, cut of the tokens or packing.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "base/error.h"
#include "quant/format_rows.h"
#include "quant/matmul.h"
#include "quant/tensor_scale.h"
#include "support/npy.h"

namespace crossval {
namespace {

const std::string kData = CROSSVAL_ROOT "/tests/data/bitnet-i2s/";

// n_rows x row_len random codes below `n_codes`, the scale, 28 bytes of anything.
struct Stored {
  Stored(int64_t n_rows, int64_t row_len, float scale, unsigned n_codes, uint32_t seed) {
    std::mt19937 random(seed);
    const auto n_bytes = static_cast<size_t>(n_rows * row_len / 4);
    bytes.resize(n_bytes + 32, std::byte{0xa5});
    for (size_t i = 0; i < n_bytes; ++i) {
      unsigned packed = 0;
      for (int j = 0; j < 4; ++j) packed = packed << 2 | random() % n_codes;
      bytes[i] = static_cast<std::byte>(packed);
    }
    std::memcpy(bytes.data() + n_bytes, &scale, sizeof scale);
    tensor.name = std::string("w");
    tensor.type = GgmlType::I2_S;
    tensor.shape = {row_len, n_rows};
    tensor.data = bytes;
  }
  // By the rule, not by the code under test.
  int code(int64_t row, int64_t k) const {
    const int64_t at = row * tensor.shape[0] + k;
    const auto byte = static_cast<int>(bytes[static_cast<size_t>(at / 128 * 32 + at % 32)]);
    return byte >> (6 - 2 * (at % 128 / 32)) & 3;
  }
  std::vector<std::byte> bytes;
  TensorView tensor;
};

std::vector<float> random_floats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

TEST(I2S, LayoutAndScale) {
  const Stored stored(3, 384, 0.75f, 4, 1);
  const WeightView w = weight_view(stored.tensor);
  EXPECT_EQ(w.tensor_scale, 0.75f);
  EXPECT_EQ(w.row_bytes, 96);
  std::vector<float> row(384);
  for (int64_t r = 0; r < 3; ++r) {
    get_row(w, r, row.data());
    for (int64_t k = 0; k < 384; ++k) {
      EXPECT_EQ(row[static_cast<size_t>(k)], 0.75f * static_cast<float>(stored.code(r, k) - 1));
    }
  }
}

// The rule of the real kernel in its plainest form.
float expected(const Stored& stored, float scale, int64_t row, const float* x, int64_t n) {
  double m = 1e-5;
  for (int64_t k = 0; k < n; ++k) m = std::max(m, std::fabs(double{x[k]}));
  const auto s = static_cast<float>(127.0 / m);
  int64_t products = 0, sum = 0;
  for (int64_t k = 0; k < n; ++k) {
    const auto v = static_cast<int64_t>(std::nearbyint(x[k] * s));
    products += stored.code(row, k) * v;
    sum += v;
  }
  return (static_cast<float>(products) - static_cast<float>(sum)) / s * scale;
}

TEST(I2S, MatmulIsTheRuleWhateverThreadsAndCuts) {
  const int64_t n = 1024 + 384, n_rows = 53, n_tokens = 70;
  for (const unsigned n_codes : {3u, 4u}) {
    const Stored stored(n_rows, n, 0.0371f, n_codes, 2);
    const WeightView w = weight_view(stored.tensor);
    std::vector<float> x = random_floats(n_tokens * n, 3);
    std::fill_n(x.begin() + 5 * n, n, 0.0f);                                     // a row of zeros
    for (int64_t k = 0; k < n; ++k) x[static_cast<size_t>(6 * n + k)] *= 1e-7f;  // below 1e-5
    for (int64_t k = 0; k < n; ++k) x[static_cast<size_t>(7 * n + k)] = k % 2 != 0 ? 127 : 0.5f;
    for (const int64_t step : {int64_t{1}, int64_t{7}, n_tokens}) {
      ThreadPool pool(step == 7 ? 3 : 1);
      std::vector<float> y(static_cast<size_t>(n_tokens * n_rows));
      for (int64_t t = 0; t < n_tokens; t += step) {
        matmul(w, x.data() + t * n, n, std::min(step, n_tokens - t), y.data() + t * n_rows, n_rows,
               Numerics::ggml, pool);
      }
      for (int64_t t = 0; t < n_tokens; ++t) {
        for (int64_t r = 0; r < n_rows; ++r) {
          ASSERT_EQ(y[static_cast<size_t>(t * n_rows + r)],
                    expected(stored, 0.0371f, r, x.data() + t * n, n))
              << t << " " << r;
        }
      }
    }
  }
}

// All codes 2 and activations at their limit over a row where the real kernel's int16 sums wrap.
TEST(I2S, ExtremeActivationsDoNotWrap) {
  const int64_t n = 6912;
  Stored stored(16, n, 1.0f, 1, 1);
  std::fill(stored.bytes.begin(), stored.bytes.end() - 32, std::byte{0xaa});
  const std::vector<float> x(static_cast<size_t>(n), 3.0f);
  std::vector<float> y(16);
  ThreadPool pool(1);
  matmul(weight_view(stored.tensor), x.data(), n, 1, y.data(), 16, Numerics::ggml, pool);
  for (const float value : y) EXPECT_NEAR(value, 3.0f * 6912, 0.01f);
}

TEST(I2S, ExactIsTheDoubleProduct) {
  const int64_t n = 640, n_rows = 20;
  const Stored stored(n_rows, n, 0.3f, 3, 4);
  const std::vector<float> x = random_floats(n, 5);
  std::vector<float> y(static_cast<size_t>(n_rows));
  ThreadPool pool(1);
  matmul(weight_view(stored.tensor), x.data(), n, 1, y.data(), n_rows, Numerics::exact, pool);
  for (int64_t r = 0; r < n_rows; ++r) {
    double want = 0;
    for (int64_t k = 0; k < n; ++k) {
      want += 0.3 * (stored.code(r, k) - 1) * double{x[static_cast<size_t>(k)]};
    }
    EXPECT_NEAR(y[static_cast<size_t>(r)], want, 1e-4);
  }
}

TEST(I2S, NonFiniteValuesReachTheResults) {
  const int64_t n = 256, n_rows = 20;
  ThreadPool pool(1);
  for (const float bad :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    Stored stored(n_rows, n, 0.5f, 3, 6);
    EXPECT_EQ(find_non_finite(stored.tensor, pool), -1);
    std::vector<float> x = random_floats(2 * n, 7), y(static_cast<size_t>(2 * n_rows));
    x[static_cast<size_t>(n) + 100] = bad;
    matmul(weight_view(stored.tensor), x.data(), n, 2, y.data(), n_rows, Numerics::ggml, pool);
    for (size_t i = 0; i < y.size(); ++i) {
      EXPECT_EQ(std::isnan(y[i]), i >= static_cast<size_t>(n_rows));
    }
    std::memcpy(stored.bytes.data() + n_rows * n / 4, &bad, sizeof bad);
    EXPECT_EQ(find_non_finite(stored.tensor, pool), 0);
    x[static_cast<size_t>(n) + 100] = 0;
    matmul(weight_view(stored.tensor), x.data(), n, 2, y.data(), n_rows, Numerics::ggml, pool);
    for (const float value : y) EXPECT_FALSE(std::isfinite(value));
  }
}

TEST(I2S, TensorsWithoutRoomForTheScaleAreErrors) {
  Stored stored(4, 128, 1.0f, 3, 8);
  stored.tensor.data = std::span(stored.bytes).first(4 * 32 + 3);
  EXPECT_THROW(weight_view(stored.tensor), Error);
  stored.tensor.shape = {64, 8};  // rows that are no whole groups of 128
  stored.tensor.data = stored.bytes;
  EXPECT_THROW(weight_view(stored.tensor), Error);
}

TEST(I2S, VectorRoundingAndPackingGiveTheReferenceBits) {
  constexpr int64_t n = 1024;
  const std::vector<float> x = random_floats(n, 9);
  std::vector<int8_t> codes[2] = {std::vector<int8_t>(n), std::vector<int8_t>(n)};
  int32_t sums[2];
  const float got = round_i8_row(x.data(), n, codes[0].data(), sums[0]);
  const float want = scalar::round_i8_row(x.data(), n, codes[1].data(), sums[1]);
  EXPECT_EQ(got, want);
  EXPECT_EQ(codes[0], codes[1]);
  EXPECT_EQ(sums[0], sums[1]);
  if (kI2_S.pack_avx2 == nullptr || !cpu_has(Isa::avx2)) return;
  const Stored stored(kPanelRows, n, 1.0f, 4, 10);
  std::vector<uint8_t> panel(n * kPanelRows);
  std::vector<float> scales(n / 32 * kPanelRows);
  kI2_S.pack_avx2(stored.bytes.data(), n / 4, n, {panel.data(), scales.data(), nullptr});
  for (int64_t r = 0; r < kPanelRows; ++r) {
    for (int64_t k = 0; k < n; ++k) {
      ASSERT_EQ(panel[static_cast<size_t>((k / 4 * kPanelRows + r) * 4 + k % 4)],
                stored.code(r, k));
    }
  }
  for (const float scale : scales) EXPECT_EQ(scale, 1.0f);
}

// Every I2_S matmul of the model, fed the real engine's own inputs.
TEST(I2S, EveryMatmulOfTheRealEngineBitForBit) {
  struct Step {
    const char *weight, *input, *output;
  };
  constexpr Step kSteps[] = {
      {"attn_q", "attn_norm", "Qcur"},          {"attn_k", "attn_norm", "Kcur"},
      {"attn_v", "attn_norm", "Vcur"},          {"attn_output", "attn_sub_norm", "attn_o_out"},
      {"ffn_gate", "ffn_norm", "ffn_gate"},     {"ffn_up", "ffn_norm", "ffn_up"},
      {"ffn_down", "ffn_sub_norm", "ffn_down"},
  };
  const auto model = ModelFile::open(kData + "model.gguf");
  ThreadPool pool(2);
  for (const std::string layer : {"0", "1", "2"}) {
    for (const Step& step : kSteps) {
      const auto captured = [&](const char* name) {
        return crossval::testing::read_npy(std::string(kData)
                                               .append("p00_english/")
                                               .append(name)
                                               .append("-")
                                               .append(layer)
                                               .append(".npy"));
      };
      const auto in = captured(step.input), out = captured(step.output);
      const std::string name = "blk." + layer + "." + step.weight + ".weight";
      const TensorView* tensor = model->find_tensor(name);
      ASSERT_NE(tensor, nullptr);
      const WeightView w = weight_view(*tensor);
      ASSERT_EQ(in.row_len(), w.row_len);
      ASSERT_EQ(out.row_len(), w.n_rows);
      std::vector<float> y(out.values.size());
      matmul(w, in.values.data(), w.row_len, in.n_rows(), y.data(), w.n_rows, Numerics::ggml, pool);
      EXPECT_EQ(std::memcmp(y.data(), out.values.data(), y.size() * sizeof(float)), 0) << name;
    }
  }
}

}  // namespace
}  // namespace crossval
