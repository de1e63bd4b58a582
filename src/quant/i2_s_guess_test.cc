// The layout of a model whose weights know their channels is found; random weights tell nothing.
#include "quant/i2_s_guess.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "gguf/writer.h"

namespace crossval {
namespace {

// Two matrices behind a norm; the share of zeros in a channel falls with its norm weight by
// `strength`. Stored in the layout named.
std::shared_ptr<const ModelFile> model_in(I2sLayout layout, double strength, uint32_t seed) {
  constexpr int64_t n = 512, n_rows = 256;
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(0, 1);
  std::vector<float> norm(n);
  for (float& w : norm) w = static_cast<float>(0.5 + uniform(random));
  GgufWriter writer;
  writer.set_string("general.architecture", "bitnet");
  for (const char* matrix : {"ffn_gate", "ffn_up"}) {
    std::vector<std::byte> bytes(n * n_rows / 4 + 32);
    for (int64_t row = 0; row < n_rows; ++row) {
      for (int64_t k = 0; k < n; ++k) {
        const double share =
            0.3 + strength * (static_cast<double>(norm[static_cast<size_t>(k)]) - 1);
        const bool zero = uniform(random) < share;
        const unsigned code = zero ? 1 : uniform(random) < 0.5 ? 0 : 2;
        const int64_t block = layout == I2sLayout::arm ? 64 : 128, quarter = block / 4;
        const bool rows4 = layout == I2sLayout::rows4;
        const int64_t at =
            rows4 ? row / 4 * n + k : row * n / 4 + k / block * quarter + k % quarter;
        const int64_t slot = rows4 ? row % 4 : k % block / quarter;
        bytes[static_cast<size_t>(at)] |= static_cast<std::byte>(code << (6 - 2 * slot));
      }
    }
    writer.add_tensor(std::string("blk.0.") + matrix + ".weight", GgmlType::I2_S, {n, n_rows},
                      [bytes] { return bytes; });
  }
  writer.add_tensor("blk.0.ffn_norm.weight", GgmlType::F32, {n}, [norm] {
    const auto view = std::as_bytes(std::span(norm));
    return std::vector<std::byte>(view.begin(), view.end());
  });
  const std::string path = ::testing::TempDir() + "guess-" + std::to_string(seed) + ".gguf";
  writer.write(path);
  auto model = ModelFile::open(path);
  std::filesystem::remove(path);
  return model;
}

TEST(I2sGuess, FindsTheLayoutWhereChannelsShow) {
  ThreadPool pool(2);
  for (const I2sLayout layout : {I2sLayout::x86, I2sLayout::arm, I2sLayout::rows4}) {
    const auto evidence = i2_s_evidence(*model_in(layout, 0.3, 1), pool);
    ASSERT_EQ(evidence.size(), 3u);
    EXPECT_EQ(i2_s_guess(evidence), layout) << evidence[0].evidence << " " << evidence[1].evidence;
  }
}

TEST(I2sGuess, SaysNothingOfRandomWeights) {
  ThreadPool pool(2);
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    const auto evidence = i2_s_evidence(*model_in(I2sLayout::x86, 0, seed), pool);
    ASSERT_EQ(evidence.size(), 3u);
    EXPECT_EQ(i2_s_guess(evidence), std::nullopt) << seed << " " << evidence[0].evidence;
  }
}

}  // namespace
}  // namespace crossval
