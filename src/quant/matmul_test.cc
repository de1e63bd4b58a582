// Every format, both arithmetics, every instruction set of this machine: equal bits to sums written
// down plainly, whatever the threads, the cut of the tokens and the odd sizes.
#include "quant/matmul.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "base/error.h"
#include "base/half.h"
#include "quant/kernels.h"
#include "quant/kernels_check.h"

namespace crossval {
namespace {

const float kNan = std::numeric_limits<float>::quiet_NaN();

// Where a block keeps its f16 scales (F32 and BF16: its value).
std::vector<int> scale_offsets(GgmlType type) {
  switch (type) {
    case GgmlType::Q4_1:
    case GgmlType::Q5_1:
    case GgmlType::Q4_K:
    case GgmlType::Q5_K:
      return {0, 2};
    case GgmlType::Q2_K:
      return {80, 82};
    case GgmlType::Q3_K:
      return {108};
    case GgmlType::Q6_K:
      return {208};
    case GgmlType::TQ1_0:
      return {52};
    case GgmlType::TQ2_0:
      return {64};
    case GgmlType::IQ1_M:
      return {48};
    default:
      return {0};
  }
}

int scale_bytes(GgmlType type) {
  if (type == GgmlType::F32 || type == GgmlType::Q8_K) return 4;
  return type == GgmlType::IQ1_M || type == GgmlType::F64 ? 8 : 2;
}

void put_scale(GgmlType type, float value, std::byte* at) {
  if (type == GgmlType::F32 || type == GgmlType::Q8_K) {
    std::memcpy(at, &value, sizeof value);
    return;
  }
  if (type == GgmlType::F64) {
    const double wide = value;
    std::memcpy(at, &wide, sizeof wide);
    return;
  }
  const uint16_t h = type == GgmlType::BF16 ? f32_to_bf16(value) : f32_to_f16(value);
  if (type != GgmlType::IQ1_M) {
    std::memcpy(at, &h, sizeof h);
    return;
  }
  for (int i = 0; i < 4; ++i) {  // the upper nibbles of four u16
    const int nibble = h >> (4 * i) & 15;
    at[2 * i + 1] = (at[2 * i + 1] & std::byte{15}) | static_cast<std::byte>(nibble << 4);
  }
}

// MXFP4 and NVFP4: their scales are floats of 8 bits.
bool has_f8_scales(const Format& format) {
  return format.type == GgmlType::MXFP4 || format.type == GgmlType::NVFP4;
}

// Random bytes with sane scales: every f16 scale of every format gets a modest finite value.
struct Weights {
  Weights(const Format& format, int64_t n_rows, int64_t row_len, uint32_t seed) {
    std::mt19937 random(seed);
    const int64_t row_bytes = row_len / format.block_len * format.block_bytes;
    bytes.resize(static_cast<size_t>(n_rows * row_bytes));
    for (auto& b : bytes) b = static_cast<std::byte>(random());
    std::uniform_real_distribution<float> value(-0.2f, 0.2f);
    for (int64_t block = 0; block < n_rows * row_len / format.block_len; ++block) {
      std::byte* const own = bytes.data() + block * format.block_bytes;
      if (format.type == GgmlType::MXFP4) {  // a power of two between 2^-9 and 2^-2
        own[0] = static_cast<std::byte>(118 + random() % 8);
      }
      if (has_f8_scales(format)) continue;
      for (const int offset : scale_offsets(format.type)) {
        put_scale(format.type, value(random), own + offset);
      }
    }
    view = {&format, bytes.data(), n_rows, row_len, row_bytes};
  }
  std::vector<std::byte> bytes;
  WeightView view;
};

std::vector<float> random_floats(int64_t n, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  std::vector<float> values(static_cast<size_t>(n));
  for (float& v : values) v = normal(random);
  return values;
}

int64_t test_len(const Format& format) {
  if (format.block_len > 32) return 1024 + 2 * format.block_len;
  return format.block_len == 1 ? 333 : 1024 + 96;
}

class EveryFormat : public testing::TestWithParam<const Format*> {};

TEST_P(EveryFormat, BlockSizesAreThoseOfTheTypeTable) {
  const TypeInfo* info = find_type(static_cast<uint32_t>(GetParam()->type));
  ASSERT_NE(info, nullptr);
  EXPECT_EQ(info->block_len, GetParam()->block_len);
  EXPECT_EQ(info->block_bytes, GetParam()->block_bytes);
}

TEST_P(EveryFormat, UnpackedCodesGiveTheDequantisedWeights) {
  const Format& format = *GetParam();
  if (format.unpack == nullptr) return;
  const int64_t n = test_len(format);
  const Weights w(format, 1, n, 5);
  std::vector<float> want(static_cast<size_t>(n)), d(want.size()), m(want.size());
  std::vector<uint8_t> codes(want.size());
  format.dequantize(w.view.data, n, want.data());
  format.unpack(w.view.data, n, codes.data(), d.data(), m.data());
  for (size_t i = 0; i < want.size(); ++i) {
    const size_t sub = i / static_cast<size_t>(format.sub_block_len);
    EXPECT_LT(codes[i], 1 << format.code_bits);
    const float product = d[sub] * static_cast<float>(codes[i] - format.offset);
    if (format.type == GgmlType::IQ6_K) {  // its products take whole numbers for steps of a cubic
      EXPECT_NEAR(product, want[i], 0.51f * std::fabs(d[sub])) << i;
      continue;
    }
    EXPECT_EQ(format.has_min ? product + m[sub] : product, want[i]) << i;
  }
}

// exact: the plain dot product in double is as near as f32 sums allow. ggml: near it too, within
// the rounding of activations to 8 bits.
TEST_P(EveryFormat, IsNearTheDoubleProduct) {
  const Format& format = *GetParam();
  const int64_t n = test_len(format), n_rows = 37, n_tokens = 9;
  const Weights w(format, n_rows, n, 11);
  const std::vector<float> x = random_floats(n_tokens * n, 3);
  ThreadPool pool(2);
  for (const Numerics numerics : {Numerics::exact, Numerics::ggml}) {
    std::vector<float> y(static_cast<size_t>(n_tokens * n_rows), kNan);
    matmul(w.view, x.data(), n, n_tokens, y.data(), n_rows, numerics, pool);
    double error = 0, norm = 0;
    std::vector<float> row(static_cast<size_t>(n));
    for (int64_t r = 0; r < n_rows; ++r) {
      get_row(w.view, r, row.data());
      for (int64_t t = 0; t < n_tokens; ++t) {
        double sum = 0;
        for (int64_t k = 0; k < n; ++k) {
          sum += double{row[static_cast<size_t>(k)]} * double{x[static_cast<size_t>(t * n + k)]};
        }
        error += std::pow(y[static_cast<size_t>(t * n_rows + r)] - sum, 2);
        norm += sum * sum;
      }
    }
    const bool rounds = numerics == Numerics::ggml && format.activation != ActivationType::F32;
    const bool is_cubic = format.type == GgmlType::IQ6_K;  // the rows are
    const double limit = !rounds && !is_cubic                       ? 1e-6
                         : format.activation == ActivationType::F16 ? 1e-3
                                                                    : 1.5e-2;
    EXPECT_LT(std::sqrt(error / norm), limit);
    if (rounds) {
      EXPECT_GT(std::sqrt(error / norm), 1e-5) << "activations were not rounded";
    }
  }
}

TEST_P(EveryFormat, ThreadsAndCutsOfTheTokensChangeNoBit) {
  const Format& format = *GetParam();
  const int64_t n = test_len(format), n_rows = 53, n_tokens = 70;
  const Weights w(format, n_rows, n, 17);
  const std::vector<float> x = random_floats(n_tokens * n, 4);
  for (const Numerics numerics : {Numerics::exact, Numerics::ggml}) {
    std::vector<float> want(static_cast<size_t>(n_tokens * n_rows), kNan);
    ThreadPool one(1);
    matmul(w.view, x.data(), n, n_tokens, want.data(), n_rows, numerics, one);
    for (const int64_t step : {1, 7, 64}) {
      ThreadPool pool(3);
      std::vector<float> got(want.size(), kNan);
      for (int64_t t = 0; t < n_tokens; t += step) {
        matmul(w.view, x.data() + t * n, n, std::min(step, n_tokens - t), got.data() + t * n_rows,
               n_rows, numerics, pool);
      }
      EXPECT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0) << step;
    }
  }
}

// Where sums of products could overflow: the largest codes of either sign, and -128.
TEST_P(EveryFormat, ExtremeCodesGiveOneTokenTheBitsOfMany) {
  const Format& format = *GetParam();
  const int64_t n = test_len(format), n_rows = kPanelRows, n_tokens = 5;
  ThreadPool pool(1);
  for (const int fill : {0xff, 0x80, 0x7f, 0x00}) {
    Weights w(format, n_rows, n, 41);
    const Weights scales(format, n_rows, n, 41);
    std::fill(w.bytes.begin(), w.bytes.end(), static_cast<std::byte>(fill));
    const int scale_len = scale_bytes(format.type);
    for (int64_t block = 0; block < n_rows * n / format.block_len; ++block) {
      for (const int offset : scale_offsets(format.type)) {
        const int64_t at = block * format.block_bytes + offset;
        std::copy_n(scales.bytes.data() + at, scale_len, w.bytes.data() + at);
      }
    }
    std::vector<float> x(static_cast<size_t>(n_tokens * n), 1.0f);
    for (size_t i = 0; i < x.size(); i += 2) x[i] = fill == 0x80 ? -1.0f : 1.0f;
    for (const Numerics numerics : {Numerics::exact, Numerics::ggml}) {
      std::vector<float> many(static_cast<size_t>(n_tokens * n_rows)), one(many.size());
      matmul(w.view, x.data(), n, n_tokens, many.data(), n_rows, numerics, pool);
      for (int64_t t = 0; t < n_tokens; ++t) {
        matmul(w.view, x.data() + t * n, n, 1, one.data() + t * n_rows, n_rows, numerics, pool);
      }
      EXPECT_EQ(std::memcmp(many.data(), one.data(), many.size() * sizeof(float)), 0) << fill;
    }
  }
}

// The short cut that packs a panel gives what unpacking row by row gives.
TEST_P(EveryFormat, ShortCutOfPackingChangesNoBit) {
  const Format& format = *GetParam();
  if (format.pack_avx2 == nullptr || !cpu_has(Isa::avx2)) return;
  const int64_t n = test_len(format) / 256 * 256 + (format.block_len == 256 ? 0 : 96);
  const Weights w(format, kPanelRows, n, 23);
  const size_t n_sub = static_cast<size_t>(n / format.sub_block_len);
  std::vector<uint8_t> codes(static_cast<size_t>(n * kPanelRows));
  std::vector<float> d(n_sub * kPanelRows), m(d.size());
  format.pack_avx2(w.view.data, w.view.row_bytes, n, {codes.data(), d.data(), m.data()});
  std::vector<uint8_t> row(static_cast<size_t>(n));
  std::vector<float> row_d(n_sub), row_m(n_sub);
  for (size_t r = 0; r < kPanelRows; ++r) {
    format.unpack(w.view.data + static_cast<int64_t>(r) * w.view.row_bytes, n, row.data(),
                  row_d.data(), row_m.data());
    for (size_t k = 0; k < row.size(); ++k) {
      ASSERT_EQ(codes[(k / 4 * kPanelRows + r) * 4 + k % 4], row[k]) << r << " " << k;
    }
    for (size_t sub = 0; sub < n_sub; ++sub) {
      ASSERT_EQ(d[sub * kPanelRows + r], row_d[sub]);
      if (format.has_min) {
        ASSERT_EQ(m[sub * kPanelRows + r], row_m[sub]);
      }
    }
  }
}

TEST_P(EveryFormat, NonFiniteActivationsAndWeightsAreNotLaundered) {
  const Format& format = *GetParam();
  const int64_t n = test_len(format), n_rows = 20, n_tokens = 8;
  ThreadPool pool(2);
  for (const Numerics numerics : {Numerics::exact, Numerics::ggml}) {
    for (const float bad : {kNan, std::numeric_limits<float>::infinity()}) {
      Weights w(format, n_rows, n, 29);
      std::vector<float> x = random_floats(n_tokens * n, 6);
      x[static_cast<size_t>(3 * n + 40)] = bad;
      std::vector<float> y(static_cast<size_t>(n_tokens * n_rows));
      matmul(w.view, x.data(), n, n_tokens, y.data(), n_rows, numerics, pool);
      for (int64_t t = 0; t < n_tokens; ++t) {
        for (int64_t r = 0; r < n_rows; ++r) {
          EXPECT_EQ(std::isfinite(y[static_cast<size_t>(t * n_rows + r)]), t != 3);
        }
      }
    }
    if (has_f8_scales(format)) continue;  // which are never NaN
    // A NaN in row 18 of the weights: only the results of that row.
    Weights w(format, n_rows, n, 29);
    const int at = scale_offsets(format.type)[0];
    std::memset(w.bytes.data() + 18 * w.view.row_bytes + format.block_bytes + at, 0xff,
                static_cast<size_t>(scale_bytes(format.type)));
    const std::vector<float> x = random_floats(n_tokens * n, 6);
    std::vector<float> y(static_cast<size_t>(n_tokens * n_rows));
    matmul(w.view, x.data(), n, n_tokens, y.data(), n_rows, numerics, pool);
    for (int64_t t = 0; t < n_tokens; ++t) {
      for (int64_t r = 0; r < n_rows; ++r) {
        EXPECT_EQ(std::isnan(y[static_cast<size_t>(t * n_rows + r)]), r == 18) << r;
      }
    }
    TensorView tensor;
    tensor.name = "w";
    tensor.type = format.type;
    tensor.shape = {n, n_rows};
    tensor.data = w.bytes;
    EXPECT_EQ(find_non_finite(tensor, pool), 18 * n + format.block_len);
    Weights good(format, n_rows, n, 29);
    tensor.data = good.bytes;
    EXPECT_EQ(find_non_finite(tensor, pool), -1);
  }
}

bool is_integer(GgmlType type) {
  return type == GgmlType::I8 || type == GgmlType::I16 || type == GgmlType::I32 ||
         type == GgmlType::I64;
}

// Those whose blocks say all: i2_s_test.cc, iq2_bn_test.cc and beside_blocks_test.cc test the
// others. Integers have no scale that could be no number.
std::vector<const Format*> row_formats() {
  std::vector<const Format*> rows(all_formats().begin(), all_formats().end());
  std::erase_if(rows, [](const Format* format) {
    return format->has_tensor_scale || format->row_scale.n_bytes > 0 || format->rows_together > 1 ||
           is_integer(format->type);
  });
  return rows;
}

INSTANTIATE_TEST_SUITE_P(Table, EveryFormat, testing::ValuesIn(row_formats()),
                         [](const auto& info) {
                           return std::string(
                               find_type(static_cast<uint32_t>(info.param->type))->name);
                         });

TEST(Kernels, EveryInstructionSetOfThisMachineGivesTheReferenceBits) {
  int n_checked = 0;
  for (const Isa isa : all_isas()) {
    if (!cpu_has(isa)) continue;
    EXPECT_EQ(check_kernels(kernels_of(isa)), "") << isa_name(isa);
    EXPECT_EQ(kernels_of(isa).isa, isa);
    ++n_checked;
  }
  EXPECT_GE(n_checked, 1);
  EXPECT_EQ(isa_note(), "");
}

TEST(Kernels, SelfTestFindsAFaultyKernel) {
  Kernels faulty = scalar_kernels();
  faulty.float_kernel = [](const FloatArgs& args) {
    scalar_kernels().float_kernel(args);
    if (args.n_tokens > 20) args.y[20 * args.y_stride + 3] *= 1.0000002f;
  };
  EXPECT_EQ(check_kernels(faulty), "float kernel");
}

TEST(Weights, UnreadableTypesAndShapesAreErrors) {
  TensorView tensor;
  tensor.name = "blk.0.w";
  tensor.type = static_cast<GgmlType>(99);
  tensor.shape = {32, 1};
  EXPECT_THROW(weight_view(tensor), Error);
  tensor.type = GgmlType::Q4_0;
  tensor.shape = {33, 1};
  EXPECT_THROW(weight_view(tensor), Error);
  tensor.shape = {32, 2};
  const std::vector<std::byte> bytes(35);
  tensor.data = bytes;
  EXPECT_THROW(weight_view(tensor), Error);
  tensor.shape = {32, 1};
  EXPECT_EQ(weight_view(tensor).row_bytes, 18);
}

}  // namespace
}  // namespace crossval
