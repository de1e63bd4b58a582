// crossval trace --self: a sound engine only rounds otherwise under other settings; one that does
// not repeat itself is named, with the tensor where that begins.
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

using nlohmann::json;
using Environment = std::map<std::string, std::string>;

const char* const ids = "5,80,120,7,200,33,12,40,41,42,43,44";

class TraceSelf : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(model_, {.n_layers = 3, .n_embd = 256, .matrix_type = GgmlType::Q8_0});
  }
  CrossvalResult trace(const std::string& backend, const Environment& env) {
    return run_crossval(CROSSVAL_BIN,
                        {"trace", "--self", "--model", model_, "--tokens", ids, "--backend",
                         backend, "--threads", "2"},
                        {.env = {env.begin(), env.end()}});
  }
  // "" and the test is to be skipped.
  static std::string real_worker() {
    const CrossvalResult backends =
        run_crossval(CROSSVAL_BIN, {"backends"}, {.env = {{"LLAMA_CPP_DIR", llama_new}}});
    for (const auto& backend : backends.json()["backends"]) {
      if (backend["name"] == "llama" && backend["worker"].is_string()) return backend["worker"];
    }
    return "";
  }

  TempDir dir_;
  std::string model_ = dir_.file("tiny.gguf");
};

TEST_F(TraceSelf, SoundEngineOnlyRoundsOtherwise) {
  SKIP_WITHOUT(llama_new);
  const CrossvalResult result = trace("llama", {{"LLAMA_CPP_DIR", llama_new}});
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err << result.run.out;
  const json& out = result.json();
  EXPECT_EQ(out["first_divergence"], nullptr);
  EXPECT_GT(out["n_replayed"], 50);
  int n_rounding = 0, n_repeats = 0;
  for (const json& row : out["self"]) {
    SCOPED_TRACE(row.dump());
    if (row["expected"] == "same") {
      ++n_repeats;
      EXPECT_EQ(row["verdict"], "equal");
      EXPECT_EQ(row["bit_equal"], true);
    }
    EXPECT_NE(row["verdict"], "diverged");
    // The engine's own words: quantised values want flash attention.
    if (row["changed"] == "kv_type=q8_0") {
      EXPECT_EQ(row["verdict"], "refused");
      EXPECT_NE(row["note"].get<std::string>().find("V cache"), std::string::npos);
    }
    if (row["verdict"] != "rounding") continue;
    ++n_rounding;
    EXPECT_NE(row["first_tensor"], nullptr);
    EXPECT_GT(row["n_recomputed"], 50);
    EXPECT_LE(row["largest_ratio"], 1.0);
  }
  EXPECT_GE(n_repeats, 4);
  EXPECT_GE(n_rounding, 3) << "other cache types and flash attention do change bits";
}

TEST_F(TraceSelf, NamesTheTensorThatDoesNotRepeat) {
  SKIP_WITHOUT(llama_new);
  const std::string worker = real_worker();
  if (worker.empty()) GTEST_SKIP() << "llama.cpp is not set up; `make engines` does that";
  const CrossvalResult result =
      trace("worker:" FAULTY_WORKER_BIN, {{"CROSSVAL_REAL_WORKER", worker},
                                          {"CROSSVAL_KERNEL_FAULT", "Qcur-1 ROPE lane"},
                                          {"CROSSVAL_KERNEL_FAULT_AFTER", "1"}});
  ASSERT_EQ(result.run.exit_code, 1) << result.run.err << result.run.out;
  const json& found = result.json()["first_divergence"];
  EXPECT_EQ(found["kind"], "nondeterminism");
  EXPECT_EQ(found["tensor"], "Qcur-1");
  EXPECT_EQ(found["op"], "ROPE");
  EXPECT_GT(found["ratio"], 1.0) << "and which of the two runs is wrong";
  const json& row = result.json()["self"][0];
  EXPECT_EQ(row["setting"], "run again");
  EXPECT_EQ(row["bit_equal"], false);
  EXPECT_EQ(row["first_tensor"], "Qcur-1");
  EXPECT_EQ(row["verdict"], "diverged");
  // A new process repeats the first run.
  EXPECT_EQ(result.json()["self"][1]["verdict"], "equal");
}

// The protocol alone, without tensors.
TEST_F(TraceSelf, EngineWithoutTensorsIsComparedByItsLogits) {
  const CrossvalResult sound = trace("worker:" FAKE_WORKER_BIN, {});
  EXPECT_EQ(sound.run.exit_code, 0) << sound.run.err << sound.run.out;
  const CrossvalResult drifting = trace("worker:" FAKE_WORKER_BIN, {{"FAKE_WORKER_DRIFT", "1"}});
  ASSERT_EQ(drifting.run.exit_code, 1) << drifting.run.err << drifting.run.out;
  const json& found = drifting.json()["first_divergence"];
  EXPECT_EQ(found["kind"], "nondeterminism");
  EXPECT_EQ(found["tensor"], "result_output");
  EXPECT_EQ(drifting.json()["self"][0]["bit_equal"], false);
  EXPECT_GT(drifting.json()["self"][0]["rel_l2"], 0.0);
}

}  // namespace
}  // namespace crossval::testing
