// Types whose blocks alone do not say what a row is: scales for rows, interleaved rows. Products
// against their own dequantised rows, whatever the threads and cuts; scales that are no numbers;
// shapes that do not fit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "quant/matmul.h"

namespace crossval {
namespace {

constexpr int64_t kRows = 40, kRowLen = 1024 + 512;

struct Stored {
  explicit Stored(const Format& format) : format(format) {
    tensor.name = "w";
    tensor.type = format.type;
    tensor.shape = {kRowLen, kRows};
    bytes.resize(static_cast<size_t>(*tensor_bytes(format.type, tensor.shape)));
    std::mt19937 random(7);
    for (auto& b : bytes) b = static_cast<std::byte>(random());
    for (int64_t i = 0; i < n_scales(); ++i)
      put_scale(i, 0.01f + 0.001f * static_cast<float>(i % 9));
    tensor.data = bytes;
  }

  // Those of the rows; else each block's halves, one for each row that shares it, then the minima.
  int64_t n_scales() const {
    if (format.row_scale.n_bytes > 0) return kRows;
    return kRows * kRowLen / format.block_len * (format.has_min ? 2 : 1);
  }
  void put_scale(int64_t i, float value) {
    const int64_t together = format.rows_together, n_bytes = format.row_scale.n_bytes;
    if (n_bytes > 0) {
      const int64_t group = i / together * (static_cast<int64_t>(bytes.size()) / kRows * together);
      put(group + i % together * n_bytes, static_cast<int>(n_bytes), value);
      return;
    }
    const int64_t in_block = together * (format.has_min ? 2 : 1);
    put(i / in_block * format.block_bytes * together + i % in_block * 2, 2, value);
  }
  void put(int64_t at, int n_bytes, float value) {
    const uint16_t half = f32_to_f16(value);
    std::memcpy(bytes.data() + at, n_bytes == 2 ? static_cast<const void*>(&half) : &value,
                static_cast<size_t>(n_bytes));
  }

  const Format& format;
  std::vector<std::byte> bytes;
  TensorView tensor;
};

std::vector<float> random_floats(int64_t n) {
  std::mt19937 random(3);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

class BesideBlocks : public ::testing::TestWithParam<const Format*> {};

TEST_P(BesideBlocks, ProductsAreThoseOfTheRowsWhateverThreadsAndCuts) {
  const Stored stored(*GetParam());
  const WeightView w = weight_view(stored.tensor);
  constexpr int64_t n_tokens = 33;
  const std::vector<float> x = random_floats(n_tokens * kRowLen);
  for (const Numerics numerics : {Numerics::exact, Numerics::ggml}) {
    std::vector<float> want(static_cast<size_t>(n_tokens * kRows)), got(want.size());
    ThreadPool one(1), three(3);
    matmul(w, x.data(), kRowLen, n_tokens, want.data(), kRows, numerics, one);
    for (int64_t t = 0; t < n_tokens; t += 8) {
      matmul(w, x.data() + t * kRowLen, kRowLen, std::min<int64_t>(8, n_tokens - t),
             got.data() + t * kRows, kRows, numerics, three);
    }
    EXPECT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0);
    double error = 0, power = 0;
    std::vector<float> row(kRowLen);
    for (int64_t r = 0; r < kRows; ++r) {
      get_row(w, r, row.data());
      for (int64_t t = 0; t < n_tokens; ++t) {
        double sum = 0;
        for (int64_t k = 0; k < kRowLen; ++k) {
          sum += double{row[static_cast<size_t>(k)]} * x[static_cast<size_t>(t * kRowLen + k)];
        }
        error += std::pow(got[static_cast<size_t>(t * kRows + r)] - sum, 2);
        power += sum * sum;
      }
    }
    EXPECT_LT(std::sqrt(error / power), numerics == Numerics::exact ? 1e-6 : 2e-2);
    if (numerics == Numerics::ggml) {
      EXPECT_GT(std::sqrt(error / power), 1e-4) << "activations were not rounded";
    }
  }
}

TEST_P(BesideBlocks, ScaleThatIsNoNumberIsFoundInItsRow) {
  Stored stored(*GetParam());
  ThreadPool pool(2);
  EXPECT_EQ(find_non_finite(stored.tensor, pool), -1);
  const int64_t last_of_first = GetParam()->rows_together - 1;  // a block's, or row's
  stored.put_scale(last_of_first, std::numeric_limits<float>::quiet_NaN());
  EXPECT_EQ(find_non_finite(stored.tensor, pool), last_of_first * kRowLen);
  const std::vector<float> x = random_floats(kRowLen);
  for (const Numerics numerics : {Numerics::exact, Numerics::ggml}) {
    std::vector<float> y(kRows);
    matmul(weight_view(stored.tensor), x.data(), kRowLen, 1, y.data(), kRows, numerics, pool);
    for (int64_t r = 0; r < kRows; ++r) {
      EXPECT_EQ(std::isnan(y[static_cast<size_t>(r)]), r == last_of_first) << r;
    }
  }
}

TEST_P(BesideBlocks, RowsThatDoNotFillTheirGroupsAreRefused) {
  Stored stored(*GetParam());
  EXPECT_NO_THROW(weight_view(stored.tensor));
  stored.tensor.shape = {kRowLen, kRows / 20, 20};  // experts of two rows
  if (GetParam()->rows_together == 1) {
    EXPECT_NO_THROW(weight_view(stored.tensor));
  } else {
    EXPECT_THROW(weight_view(stored.tensor), Error);
  }
}

std::vector<const Format*> formats_beside_blocks() {
  std::vector<const Format*> found;
  for (const Format* format : all_formats()) {
    if (format->row_scale.n_bytes > 0 || format->rows_together > 1) found.push_back(format);
  }
  return found;
}

INSTANTIATE_TEST_SUITE_P(Table, BesideBlocks, ::testing::ValuesIn(formats_beside_blocks()),
                         [](const auto& info) {
                           return std::string(find_type(info.param->type)->name);
                         });

}  // namespace
}  // namespace crossval
