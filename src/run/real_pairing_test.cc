// Native and the real engines, tensor by tensor over SmolLM2. Skipped where
// scripts/fetch_engines.sh was not run.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <iostream>

#include "backends/build_worker.h"
#include "backends/engine_ref.h"
#include "native/native_engine.h"
#include "run/observers.h"

namespace crossval {
namespace {

const std::string kCache = std::string(CROSSVAL_ROOT) + "/.cache";
const std::string kModel = kCache + "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
const std::vector<TokenId> kIds = {504, 3575, 282, 4649, 314, 260, 1234, 17, 99, 2000, 31, 4};

class RealPairing : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string dir = kCache + "/engines/llama-" + GetParam();
    if (!std::filesystem::exists(dir + "/VERSION") || !std::filesystem::exists(kModel)) {
      GTEST_SKIP() << "run scripts/fetch_models.sh and scripts/fetch_engines.sh";
    }
    setenv("LLAMA_CPP_DIR", dir.c_str(), 1);
    setup_backend(
        {.backend = "llama", .dir = dir, .include_dir = "", .remember = false, .on_progress = {}});
  }
  void TearDown() override { unsetenv("LLAMA_CPP_DIR"); }

  static std::unique_ptr<Engine> open() {
    auto backend = open_engine(
        find_engine("llama", "--backend"),
        {.model = kModel, .n_threads = 1, .settings = {}, .timeout_ms = 120'000, .on_message = {}});
    backend->reset(static_cast<int>(kIds.size()));
    return backend;
  }
};

TEST_P(RealPairing, NativeFindsAPartnerForEachOfItsTensors) {
  const auto backend = open();
  const bool f16 = backend->info().settings.at("kv_type_v") == "f16";
  NativeEngine native(
      ModelFile::open(kModel), nullptr,
      {.k_type = backend->info().settings.at("kv_type_k") == "f16" ? KvType::f16 : KvType::f32,
       .v_type = f16 ? KvType::f16 : KvType::f32},
      std::make_shared<ThreadPool>(1));
  native.reset(static_cast<int>(kIds.size()));
  TapPairing pairing;
  const Participant sides[] = {{Side::backend, *backend, Look::tensors},
                               {Side::engine, native, Look::tensors}};
  TapPairs pairs(pairing);
  Observer* const observers[] = {&pairs};
  NoProgress progress;
  const Steps steps{.prompt = kIds};
  drive(sides, steps, observers, progress);
  const PairedTaps found = pairing.finish();
  // embd, 15 of each layer, result_norm; result_output was not asked for by name.
  EXPECT_EQ(found.pairs.size(), 2u + 30 * 15);
  for (const UnpairedTap& tap : found.unpaired) {
    EXPECT_NE(tap.side, Side::engine) << tap.name << " " << tap.op;
  }
  double worst = 0;
  for (const TapPair& pair : found.pairs) {
    EXPECT_TRUE(pair.same_shape) << pair.name;
    EXPECT_EQ(pair.n_positions, static_cast<int>(kIds.size())) << pair.name;
    worst = std::max(worst, pair.rel_l2);
    if (pair.layer == 0) {
      EXPECT_LT(pair.rel_l2, 1e-2) << pair.name << " " << pair.op;
    }
  }
  EXPECT_LT(worst, 0.5);  // rounding of quantised activations, over 30 layers
  EXPECT_EQ(found.pairs.front().name.ends_with("embd"), true);
  EXPECT_EQ(found.pairs.front().n_different, 0);
  // Three layers of 12 positions, of both sides, stay below this; all taps together take 24 MB.
  EXPECT_LT(found.peak_pending_bytes, 4 << 20);
}

TEST_P(RealPairing, ARunCutInPiecesPairsWithTheWhole) {
  const auto whole = open(), cut = open();
  TapPairing pairing({.lockstep = false});
  const auto run = [&](Engine& engine, Side side, int piece) {
    for (int first = 0; first < static_cast<int>(kIds.size()); first += piece) {
      const int n = std::min(piece, static_cast<int>(kIds.size()) - first);
      engine.eval_with_taps(std::span(kIds).subspan(first, n), {},
                            [&](Tap&& tap) { pairing.add(side, tap, n); });
      pairing.done(side);
    }
  };
  run(*whole, Side::backend, 12);
  run(*cut, Side::engine, 5);
  const PairedTaps found = pairing.finish();
  int n_compared = 0;
  for (const TapPair& pair : found.pairs) {
    // Scores have a column for every cell of the cache that is in use: another number in each eval.
    if (pair.name.starts_with("kq")) continue;
    EXPECT_TRUE(pair.same_shape) << pair.name << " " << pair.op;
    EXPECT_EQ(pair.n_positions, 12) << pair.name << " " << pair.op;
    EXPECT_LT(pair.rel_l2, 0.2) << pair.name << " " << pair.op;
    ++n_compared;
  }
  EXPECT_GE(n_compared, 2 + 30 * 15);
}

INSTANTIATE_TEST_SUITE_P(LlamaCpp, RealPairing, ::testing::Values("v0.5.0", "b3889"),
                         [](const auto& name) {
                           return std::string(name.param) == "b3889" ? "b3889" : "v050";
                         });

}  // namespace
}  // namespace crossval
