// Engines on a lifted model: native computes what it computes exactly from the quantised one, and
// the real llama.cpp loads it and agrees with native far below what quantised kernels round.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>

#include "backends/build_worker.h"
#include "backends/engine_ref.h"
#include "backends/state_dir.h"
#include "native/native_engine.h"
#include "quant/lift.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

const std::string kEngineDir = std::string(CROSSVAL_ROOT) + "/.cache/engines/llama-v0.5.0";
const std::vector<TokenId> kIds = {5, 80, 120, 7, 200, 33, 12, 259, 260, 90, 91, 14};

std::vector<float> logits_of(Engine& engine) {
  engine.reset(static_cast<int>(kIds.size()));
  engine.eval(kIds);
  std::vector<float> out(kIds.size() * static_cast<size_t>(engine.info().n_vocab));
  engine.read_logits(0, static_cast<int>(kIds.size()), out);
  return out;
}

double distance(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    power += double{b[i]} * b[i];
  }
  return std::sqrt(error / power);
}

std::vector<float> native_logits(const std::string& path) {
  NativeEngine engine(ModelFile::open(path), nullptr, {Numerics::exact, KvType::f32, KvType::f32},
                      std::make_shared<ThreadPool>(1));
  return logits_of(engine);
}

class LiftedEngines : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    path_ = dir_.file("m.gguf");
    testing::write_tiny_model(path_, testing::parse_tiny_model(GetParam()));
  }
  testing::TempDir dir_;
  std::string path_;
};

TEST_P(LiftedEngines, NativeComputesTheSame) {
  const LiftedModel lifted = lift_model(*ModelFile::open(path_), dir_.path());
  EXPECT_LT(distance(native_logits(lifted.path()), native_logits(path_)), 1e-5);
}

TEST_P(LiftedEngines, LlamaCppLoadsItAndAgrees) {
  if (!std::filesystem::exists(kEngineDir + "/VERSION")) {
    GTEST_SKIP() << "needs " << kEngineDir << ", which `make engines` brings";
  }
  setenv("LLAMA_CPP_DIR", kEngineDir.c_str(), 1);
  setup_backend({.backend = "llama",
                 .dir = kEngineDir,
                 .include_dir = "",
                 .remember = false,
                 .on_progress = {}});
  const LiftedModel lifted = lift_model(*ModelFile::open(path_), dir_.path());
  const auto engine = open_engine(find_engine("llama", "--backend"), {.model = lifted.path(),
                                                                      .n_threads = 1,
                                                                      .settings = {},
                                                                      .timeout_ms = 120'000,
                                                                      .on_message = {}});
  unsetenv("LLAMA_CPP_DIR");
  EXPECT_LT(distance(logits_of(*engine), native_logits(lifted.path())), 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Types, LiftedEngines, ::testing::Values("type=q4_1", "type=q8_0,tied=1"));

}  // namespace
}  // namespace crossval
