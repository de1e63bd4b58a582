// Bits of the real thing: hashes taken from llama.cpp v0.5.0 itself (prebuilt libggml-base and the
// haswell build of libggml-cpu; their dequantize_row_* and quantize_row_q8_*) over made-up blocks
// and activations that this file makes again in the same way.
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "gguf/types.h"
#include "quant/activations.h"
#include "quant/formats.h"
#include "support/golden.h"

namespace crossval {
namespace {

using testing::fnv;
using testing::kFnvStart;
using testing::Numbers;

struct Golden {
  GgmlType type;
  uint64_t hash;
};

constexpr Golden kDequantized[] = {
    {GgmlType::Q4_0, 0xb78997ddd5171da6u},    {GgmlType::Q4_1, 0xf4fb040891e6b496u},
    {GgmlType::Q5_0, 0x585b431ba4a0e75du},    {GgmlType::Q5_1, 0xaaea26c9742397e1u},
    {GgmlType::Q8_0, 0x1f4d4f7a808ef6e7u},    {GgmlType::Q2_K, 0xef5863940463242eu},
    {GgmlType::Q3_K, 0x134068076536d533u},    {GgmlType::Q4_K, 0x1d52d26ee3b2d95fu},
    {GgmlType::Q5_K, 0x53e67527e0641056u},    {GgmlType::Q6_K, 0x0422cd3085375909u},
    {GgmlType::IQ4_NL, 0x23bd51539e3e045eu},  {GgmlType::IQ4_XS, 0x69df8e30f36a1168u},
    {GgmlType::TQ1_0, 0x079d270b6032f91cu},   {GgmlType::TQ2_0, 0xe14f4dc9aad9aa4du},
    {GgmlType::MXFP4, 0x4c3d3e6dc77e6a23u},   {GgmlType::Q1_0, 0x9148ca5bc326f1a5u},
    {GgmlType::Q2_0, 0x576e2f41942484beu},    {GgmlType::IQ1_S, 0x4024d12fe3e1c705u},
    {GgmlType::IQ1_M, 0x7878dff2537c2f98u},   {GgmlType::IQ2_XXS, 0xa580622ab1910077u},
    {GgmlType::IQ2_XS, 0x6279c730380e179eu},  {GgmlType::IQ2_S, 0x81670d651d6fdaedu},
    {GgmlType::IQ3_XXS, 0x8cd5781067ffc1bbu}, {GgmlType::IQ3_S, 0x9ce07732cd6d5ce9u},
    {GgmlType::NVFP4, 0xf53b52283ec29723u},   {GgmlType::Q8_K, 0xda8baf42259936a6u},
};

// Of so many blocks that every point of a grid is among them, and of blocks of one byte each.
constexpr Golden kDequantizedGrids[] = {
    {GgmlType::IQ1_S, 0x8783ff0fd25c2fe9u},   {GgmlType::IQ1_M, 0x7f26e2348b668a28u},
    {GgmlType::IQ2_XXS, 0x72b143335bebb79bu}, {GgmlType::IQ2_XS, 0x4e2ce7583d14bab7u},
    {GgmlType::IQ2_S, 0xc55bba7e871b94ceu},   {GgmlType::IQ3_XXS, 0xd270e0143f84990eu},
    {GgmlType::IQ3_S, 0xa09d264fd9f04efcu},   {GgmlType::NVFP4, 0x2fd2dd4536a7efd0u},
};

// Where blocks keep f16 scales: made finite by clearing a bit of the exponent.
const std::map<GgmlType, std::vector<size_t>> kScaleOffsets = {
    {GgmlType::Q4_1, {0, 2}}, {GgmlType::Q5_1, {0, 2}}, {GgmlType::Q2_K, {80, 82}},
    {GgmlType::Q3_K, {108}},  {GgmlType::Q4_K, {0, 2}}, {GgmlType::Q5_K, {0, 2}},
    {GgmlType::Q6_K, {208}},  {GgmlType::TQ1_0, {52}},  {GgmlType::TQ2_0, {64}},
    {GgmlType::IQ1_M, {54}},  {GgmlType::Q8_K, {2}},
};

uint64_t hash_of_weights(const Format& format, std::vector<std::byte> blocks, uint64_t hash) {
  const auto block_bytes = static_cast<size_t>(format.block_bytes);
  const size_t n_blocks = blocks.size() / block_bytes;
  const auto found = kScaleOffsets.find(format.type);
  for (size_t i = 0; i < n_blocks; ++i) {
    for (const size_t at : found == kScaleOffsets.end() ? std::vector<size_t>{0} : found->second) {
      blocks[i * block_bytes + at + 1] &= std::byte{0xbf};
    }
  }
  std::vector<float> weights(n_blocks * static_cast<size_t>(format.block_len));
  format.dequantize(blocks.data(), static_cast<int64_t>(weights.size()), weights.data());
  return fnv(weights.data(), weights.size() * sizeof(float), hash);
}

uint64_t hash_of_random_weights(const Format& format, int64_t n) {
  std::vector<std::byte> blocks(static_cast<size_t>(n / format.block_len * format.block_bytes));
  Numbers numbers;
  for (auto& b : blocks) b = static_cast<std::byte>(numbers.next());
  return hash_of_weights(format, blocks, kFnvStart);
}

TEST(GgmlBits, DequantizedWeights) {
  size_t n_block_formats = 0;
  constexpr uint32_t first_of_ik = 133;  // ik_bits_test.cc
  for (const Format* format : all_formats()) {
    // I2_S is not ggml's, and Q8_1 it does not dequantise.
    const bool is_ggmls = static_cast<uint32_t>(format->type) < first_of_ik &&
                          !format->has_tensor_scale && format->type != GgmlType::Q8_1;
    n_block_formats += format->block_len > 1 && is_ggmls ? 1 : 0;
  }
  EXPECT_EQ(n_block_formats, std::size(kDequantized)) << "a format without a golden hash";
  for (const Golden& golden : kDequantized) {
    const Format* format = find_format(golden.type);
    ASSERT_NE(format, nullptr);
    EXPECT_EQ(hash_of_random_weights(*format, 1024), golden.hash) << find_type(golden.type)->name;
  }
}

TEST(GgmlBits, EveryPointOfTheGrids) {
  for (const Golden& golden : kDequantizedGrids) {
    const Format* format = find_format(golden.type);
    ASSERT_NE(format, nullptr);
    uint64_t hash = hash_of_random_weights(*format, int64_t{1} << 18);
    for (const int fill : {0x00, 0xff, 0x7f, 0x80, 0x55, 0xaa}) {
      const auto n = static_cast<size_t>(format->block_bytes);
      hash = hash_of_weights(*format, std::vector(n, static_cast<std::byte>(fill)), hash);
    }
    EXPECT_EQ(hash, golden.hash) << find_type(golden.type)->name;
  }
}

struct ActivationGolden {
  GgmlType weights;  // a type that meets such activations
  uint64_t codes, d, s;
};

TEST(GgmlBits, RoundedActivations) {
  constexpr int64_t kLen = 1024;
  std::vector<float> x(kLen);
  Numbers numbers;
  for (size_t i = 0; i < x.size(); ++i) {  // the first half is full of ties
    const int value = static_cast<int>(numbers.next() % 511) - 255;
    x[i] = static_cast<float>(value) / (i < 512 ? 2.0f : 3000.0f);
  }
  const ActivationGolden goldens[] = {
      {GgmlType::Q8_0, 0x9c67ad99af162b2fu, 0x1039576e932cc0b9u, kFnvStart},
      {GgmlType::Q4_1, 0x9c67ad99af162b2fu, 0x1039576e932cc0b9u, 0xfc3b652da6681169u},
      {GgmlType::Q6_K, 0xeb8709193a8046fcu, 0x4e421b08bf8d9901u, kFnvStart},
  };
  ThreadPool pool(1);
  for (const ActivationGolden& golden : goldens) {
    PreparedActivations a;
    prepare_activations(x.data(), kLen, 1, kLen, *find_format(golden.weights), Numerics::ggml, a,
                        pool);
    uint64_t d = kFnvStart, s = kFnvStart;
    const int64_t block_len = a.type == ActivationType::Q8_K ? 256 : 32;
    for (int64_t k = 0; k < kLen; k += block_len) {
      const auto sub = static_cast<size_t>(k / a.sub_block_len);
      d = fnv(&a.d[sub], sizeof(float), d);
      if (a.type == ActivationType::Q8_1) s = fnv(&a.s[sub], sizeof(float), s);
    }
    EXPECT_EQ(fnv(a.codes.data(), kLen, kFnvStart), golden.codes);
    EXPECT_EQ(d, golden.d);
    EXPECT_EQ(s, golden.s);
  }
}

}  // namespace
}  // namespace crossval
