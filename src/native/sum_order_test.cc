#include "native/sum_order.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "native/native_engine.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::TempDir;

TEST(SumOrder, MovesEachValueByOneStepOfTheRow) {
  std::vector<float> row(100);
  for (size_t i = 0; i < row.size(); ++i) row[i] = i % 2 == 0 ? 3.0f : -4.0f;
  const std::vector<float> before = row;
  disturb_sums(5, 100, row.data());
  const double step = 0x1p-23 * std::sqrt(12.5);
  int n_up = 0;
  for (size_t i = 0; i < row.size(); ++i) {
    EXPECT_NEAR(std::abs(double{row[i]} - before[i]), step, 0x1p-23);  // half an ulp of 4
    n_up += row[i] > before[i] ? 1 : 0;
  }
  EXPECT_GT(n_up, 30);
  EXPECT_LT(n_up, 70);
  std::vector<float> elsewhere = before;
  disturb_sums(6, 100, elsewhere.data());
  EXPECT_NE(elsewhere, row);
}

std::vector<float> logits_of(NativeEngine& engine, const std::vector<std::vector<TokenId>>& parts) {
  const auto n_vocab = static_cast<size_t>(engine.info().n_vocab);
  std::vector<float> all;
  engine.reset(16);
  for (const auto& part : parts) {
    engine.eval(part);
    std::vector<float> rows(part.size() * n_vocab);
    engine.read_logits(0, static_cast<int>(part.size()), rows);
    all.insert(all.end(), rows.begin(), rows.end());
  }
  return all;
}

// The noise of a model without rounded weights: small, not nothing, the same however it is run.
TEST(SumOrder, ARunWithItIsOfTheSizeOfRounding) {
  const TempDir dir;
  testing::write_tiny_model(dir.file("m.gguf"));
  const auto model = ModelFile::open(dir.file("m.gguf"));
  const auto run = [&](bool otherwise, int n_threads, const auto& parts) {
    NativeEngine engine(model, nullptr, {.sums_otherwise = otherwise},
                        std::make_shared<ThreadPool>(n_threads));
    return logits_of(engine, parts);
  };
  const std::vector<std::vector<TokenId>> whole = {{1, 5, 9, 2, 7, 3}},
                                          cut = {{1, 5}, {9, 2, 7}, {3}};
  const auto plain = run(false, 1, whole), otherwise = run(true, 1, whole);
  EXPECT_EQ(otherwise, run(true, 2, cut));
  double distance = 0, size = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    distance += (double{plain[i]} - otherwise[i]) * (double{plain[i]} - otherwise[i]);
    size += double{plain[i]} * plain[i];
  }
  EXPECT_GT(std::sqrt(distance / size), 1e-7);
  EXPECT_LT(std::sqrt(distance / size), 1e-5);
}

}  // namespace
}  // namespace crossval
