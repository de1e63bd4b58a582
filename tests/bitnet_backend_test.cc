// The real bitnet.cpp, where there is one: `BITNET_CPP_DIR`, or what `setup bitnet` remembered. It
// cannot be had from a registry, so elsewhere these tests are skipped and the recorded outputs in
// tests/data/bitnet-i2s stand in.
#include <gtest/gtest.h>

#include <cstdlib>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

const std::string model = root + "/tests/data/bitnet-i2s/model.gguf";

class BitnetBackend : public ::testing::Test {
 protected:
  // Sets the worker up if BITNET_CPP_DIR names an engine that has none yet.
  void SetUp() override {
    const char* dir = std::getenv("BITNET_CPP_DIR");
    if (dir != nullptr && *dir != '\0') {
      const RunResult setup =
          run_program({CROSSVAL_BIN, "setup", "bitnet", "--dir", dir, "--quiet"});
      ASSERT_EQ(setup.exit_code, 0) << setup.err;
    }
    const CrossvalResult backends = run_crossval(CROSSVAL_BIN, {"backends"});
    for (const auto& backend : backends.json()["backends"]) {
      if (backend["name"] == "bitnet" && backend["state"] == "ready") return;
    }
    GTEST_SKIP() << "needs a real bitnet.cpp: set BITNET_CPP_DIR to its build";
  }
  CrossvalResult per_token(std::vector<std::string> args) const {
    args.insert(args.begin(), "per-token");
    args.insert(args.end(), {"--prompt", "What is 2+2?", "--verbose"});
    return run_crossval(CROSSVAL_BIN, args);
  }
  // The model as native reads it, against a backend that reads another.
  CrossvalResult against(const std::string& backend_model,
                         const std::string& native_model = model) {
    return per_token({"--model", native_model, "--backend-model", backend_model, "--cpp-backend",
                      "bitnet", "--max-tokens", "4"});
  }
  TempDir dir_;
};

TEST_F(BitnetBackend, FullParityChosenByFlagAndByMetadata) {
  const CrossvalResult by_flag =
      per_token({"--model", model, "--cpp-backend", "bitnet", "--max-tokens", "8"});
  EXPECT_EQ(by_flag.run.exit_code, 0) << by_flag.run.err << by_flag.run.out;
  EXPECT_NE(by_flag.run.err.find("Selected backend: bitnet.cpp (from --backend)"),
            std::string::npos);
  const nlohmann::json& report = by_flag.json();
  EXPECT_EQ(report["backend"]["name"], "bitnet.cpp");
  EXPECT_EQ(report["tokens"]["match"], true);
  EXPECT_EQ(report["summary"]["above_noise"], 0);
  // Nothing has been rounded the other way yet: the same arithmetic to the bit.
  EXPECT_LT(report["positions"][0]["rel_l2"], 1e-5);

  const CrossvalResult found = per_token({"--model", model});
  EXPECT_EQ(found.run.exit_code, 0) << found.run.err;
  EXPECT_EQ(found.json()["backend"]["selected_by"], "metadata");
  EXPECT_NE(found.run.err.find("Selected backend: bitnet.cpp (auto-detected)"), std::string::npos);
}

TEST_F(BitnetBackend, FaultsAreBeyondTheNoise) {
  ModelEdit rope(model);
  rope.metadata().set_f32("bitnet.rope.freq_base", 2.5e6f);
  rope.write(dir_.file("rope.gguf"));
  ModelEdit swapped(model);
  swapped.swap("blk.1.ffn_gate.weight", "blk.1.ffn_up.weight");
  swapped.write(dir_.file("swapped.gguf"));
  for (const char* name : {"rope.gguf", "swapped.gguf"}) {
    const CrossvalResult result = against(dir_.file(name));
    EXPECT_EQ(result.run.exit_code, 1) << name << result.run.err << result.run.out;
    EXPECT_EQ(result.json()["status"], "diverged");
  }
}

}  // namespace
}  // namespace crossval::testing
