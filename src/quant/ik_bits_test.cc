// Bits of the real thing: hashes taken from ik_llama.cpp itself (the library of its wheel 0.1.5,
// its dequantize_row_*) over made-up tensors that this file makes again in the same way, of random
// and of extreme bytes. IQ2_BN is not here: the engine's own function reads its rows wrongly
// (iq2_bn_test.cc has its products).
#include <gtest/gtest.h>

#include <vector>

#include "quant/formats.h"
#include "quant/matmul.h"
#include "support/golden.h"

namespace crossval {
namespace {

constexpr int64_t kRows = 16, kRowLen = 1024;

struct Golden {
  GgmlType type;
  uint64_t hash;
};

constexpr Golden kDequantized[] = {
    {GgmlType::Q6_0, 0xc61d466d4f5230e2u},       {GgmlType::IQ1_BN, 0x345dbdea7aeffd1bu},
    {GgmlType::IQ2_K, 0x9336f707c523fd71u},      {GgmlType::IQ3_K, 0xa221d04b5447a98cu},
    {GgmlType::IQ4_K, 0x78c060a33761e8d6u},      {GgmlType::IQ5_K, 0x864eba8dad83f379u},
    {GgmlType::IQ6_K, 0x7c196fa4db3babdcu},      {GgmlType::IQ2_KS, 0x090b09a8c9902a00u},
    {GgmlType::IQ3_KS, 0xc2c232a7b43011fdu},     {GgmlType::IQ4_KS, 0x7baa852daf737320u},
    {GgmlType::IQ5_KS, 0xbbfacf4d4c946fd7u},     {GgmlType::IQ4_KSS, 0xaeb4aaedc45f0bc8u},
    {GgmlType::IQ2_KL, 0x3c0f7e6d214ce61du},     {GgmlType::Q4_0_R8, 0x77f4305215b3a3b6u},
    {GgmlType::Q5_0_R4, 0xd0cdb74e29d3f7c7u},    {GgmlType::Q6_0_R4, 0x784b1a5f1a3cd5b1u},
    {GgmlType::Q8_0_R8, 0x7fabfd9f74eeecdeu},    {GgmlType::IQ4_NL_R4, 0x18783ce9979ac4e1u},
    {GgmlType::IQ2_BN_R4, 0x0c977a2d2533c522u},  {GgmlType::Q2_K_R4, 0x219ec3e2beaceeefu},
    {GgmlType::Q3_K_R4, 0x3db3deec7b5b48f5u},    {GgmlType::Q4_K_R4, 0x8f81b2304cfa3dddu},
    {GgmlType::Q5_K_R4, 0xf12f73f65f885aaau},    {GgmlType::Q6_K_R4, 0xfc18fcb7eb4ce02au},
    {GgmlType::IQ4_XS_R8, 0xed3d8c9579b005e1u},  {GgmlType::IQ2_K_R4, 0x106fb711f6d51b7eu},
    {GgmlType::IQ3_K_R4, 0x47e7c5a6e5884e85u},   {GgmlType::IQ4_K_R4, 0x84315541e0eefa0du},
    {GgmlType::IQ5_K_R4, 0xcec8d32e6787ef4fu},   {GgmlType::IQ4_KS_R4, 0x128108bed39f3a51u},
    {GgmlType::IQ5_KS_R4, 0x23fb665cb01cec81u},  {GgmlType::IQ2_XXS_R4, 0x11f4d2af38965cd6u},
    {GgmlType::IQ2_XS_R4, 0x78bc164f47cf7fbcu},  {GgmlType::IQ2_S_R4, 0xc05805e286583734u},
    {GgmlType::IQ3_XXS_R4, 0xfc624a1bd5aaadb1u}, {GgmlType::IQ3_S_R4, 0x4826e26dfead5590u},
};

// Makes every scale finite by clearing a bit of its exponent: those of rows, or the halves that all
// other types begin a block with, one for each of its rows and of its minima.
void tame_scales(const Format& format, std::vector<std::byte>& bytes) {
  constexpr std::byte kept{0xbf};
  const auto together = static_cast<size_t>(format.rows_together);
  const auto n_header = static_cast<size_t>(format.row_scale.n_bytes);
  const auto block_bytes = static_cast<size_t>(format.block_bytes) * together;
  const auto n_blocks = static_cast<size_t>(kRowLen / format.block_len);
  for (size_t at = 0; at < bytes.size();) {
    for (size_t i = 1; n_header > 0 && i <= together; ++i) bytes[at + i * n_header - 1] &= kept;
    at += n_header * together;
    for (size_t block = 0; block < n_blocks; ++block, at += block_bytes) {
      const size_t n_halves = n_header > 0 ? 0 : together * (format.has_min ? 2 : 1);
      for (size_t i = 0; i < n_halves; ++i) bytes[at + 2 * i + 1] &= kept;
    }
  }
}

uint64_t hash_of_weights(const Format& format, std::vector<std::byte>& bytes, uint64_t hash) {
  tame_scales(format, bytes);
  TensorView tensor;
  tensor.name = "w";
  tensor.type = format.type;
  tensor.shape = {kRowLen, kRows};
  tensor.data = bytes;
  const WeightView view = weight_view(tensor);
  std::vector<float> row(kRowLen);
  for (int64_t r = 0; r < kRows; ++r) {
    get_row(view, r, row.data());
    for (float& weight : row) weight += 0.0f;  // -0 is +0: Q5_0_R4 and Q6_0_R4 are d * code - 16 d
    hash = testing::fnv(row.data(), row.size() * sizeof(float), hash);
  }
  return hash;
}

TEST(IkBits, DequantizedWeights) {
  constexpr uint32_t first_of_ik = 133;
  size_t n_formats = 0;
  for (const Format* format : all_formats()) {
    const bool is_iks = static_cast<uint32_t>(format->type) >= first_of_ik;
    n_formats += is_iks && !format->has_tensor_scale ? 1 : 0;  // TL2 is bitnet.cpp's
  }
  EXPECT_EQ(n_formats, std::size(kDequantized) + 1) << "a format without a golden hash";
  for (const Golden& golden : kDequantized) {
    const Format& format = *find_format(golden.type);
    const int64_t shape[] = {kRowLen, kRows};
    std::vector<std::byte> bytes(static_cast<size_t>(*tensor_bytes(golden.type, shape)));
    testing::Numbers numbers;
    for (auto& b : bytes) b = static_cast<std::byte>(numbers.next());
    uint64_t hash = hash_of_weights(format, bytes, testing::kFnvStart);
    for (const int fill : {0x00, 0xff, 0x7f, 0x80, 0x55, 0xaa}) {
      std::fill(bytes.begin(), bytes.end(), static_cast<std::byte>(fill));
      hash = hash_of_weights(format, bytes, hash);
    }
    EXPECT_EQ(hash, golden.hash) << find_type(golden.type)->name;
  }
}

}  // namespace
}  // namespace crossval
