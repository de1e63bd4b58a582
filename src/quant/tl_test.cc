// TL2: products against the real kernels of bitnet.cpp (preset_kernels/bitnet_b1_58-3B, compiled
// for AVX2, run over the bytes and activations that this test makes again) bit for bit.
#include <gtest/gtest.h>

#include <vector>

#include "gguf/tl_layout.h"
#include "quant/matmul.h"
#include "support/golden.h"

namespace crossval {
namespace {

TEST(Tl2, ProductsAreThoseOfTheRealKernelBitForBit) {
  constexpr int64_t n = 3200;
  const int64_t shape[] = {n, n};
  testing::Numbers numbers;
  std::vector<std::byte> codes(static_cast<size_t>(*tl_code_bytes(GgmlType::TL2, shape)));
  for (auto& byte : codes) {
    const uint32_t high = numbers.next() % 7 + 1;
    byte = static_cast<std::byte>(high << 4 | (numbers.next() % 7 + 1));
  }
  std::vector<float> x(n), y(n);
  for (float& value : x) {
    value = static_cast<float>((static_cast<int>(numbers.next() % 20001) - 10000) / 3e3);
  }
  const std::vector<std::byte> turned = tl_to_i2_s(GgmlType::TL2, codes, 0.037f, shape);
  TensorView tensor;
  tensor.name = "w";
  tensor.type = GgmlType::TL2;
  tensor.shape = {n, n};
  tensor.data = turned;
  ThreadPool pool(1);
  matmul(weight_view(tensor), x.data(), n, 1, y.data(), n, Numerics::ggml, pool);
  EXPECT_EQ(testing::fnv(y.data(), y.size() * sizeof(float)), 0x1ae0d568c6b66656u);
}

}  // namespace
}  // namespace crossval
