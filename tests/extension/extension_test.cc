// The program built with a metric, an output and an engine more, each one file and one row: what
// the tables promise follows by itself. And a Python program as an engine, which needs no row.
#include <gtest/gtest.h>

#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class Extension : public ::testing::Test {
 protected:
  Extension() { write_tiny_model(model_); }
  RunResult run(std::vector<std::string> args) {
    args.insert(args.begin(), EXTENDED_BIN);
    return run_program(args, {.env = {{"CROSSVAL_HOME", home_.path()}}});
  }
  CrossvalResult json(const std::vector<std::string>& args) {
    return run_crossval(EXTENDED_BIN, args, {.env = {{"CROSSVAL_HOME", home_.path()}}});
  }
  // Native against itself: what a metric is of a pair that is the same.
  std::vector<std::string> compared() const {
    return {"per-token", "--model",   model_,   "--tokens",  "1,2,3",         "--engine",
            "native",    "--backend", "native", "--metrics", "shared_mass,kl"};
  }

  TempDir dir_, home_;
  std::string model_ = dir_.file("m.gguf");
};

TEST_F(Extension, AMetricIsInHelpColumnsJsonAndCsv) {
  EXPECT_NE(run({"per-token", "--help"}).out.find("shared_mass"), std::string::npos);
  const CrossvalResult result = json(compared());
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err;
  EXPECT_NEAR(result.json()["positions"][0]["shared_mass"].get<double>(), 1, 1e-6);
  auto args = compared();
  EXPECT_NE(run(args).out.find("shared"), std::string::npos);
  args.insert(args.end(), {"--format", "csv"});
  EXPECT_NE(run(args).out.find(",shared_mass"), std::string::npos);
  args = compared();
  args.back() = "shared_mas";
  EXPECT_EQ(run(args).exit_code, 3);
}

TEST_F(Extension, AnOutputIsInHelpAndOnEveryCommand) {
  for (const char* command : {"per-token", "trace", "run", "compare", "trace-diff"}) {
    EXPECT_NE(run({command, "--help"}).out.find("|tap"), std::string::npos) << command;
  }
  auto args = compared();
  args.insert(args.end(), {"--format", "tap"});
  const RunResult result = run(args);
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_TRUE(result.out.starts_with("TAP version 13\n1..")) << result.out;
  EXPECT_NE(result.out.find("\nok 2 - position 0"), std::string::npos) << result.out;
}

TEST_F(Extension, AnEngineIsListedAskedForAndSetUpByItsName) {
  const CrossvalResult listed = json({"backends"});
  bool found = false;
  for (const auto& backend : listed.json()["backends"]) {
    found = found || (backend["name"] == "fork" && backend["state"] == "not set up");
  }
  EXPECT_TRUE(found) << listed.run.out;
  EXPECT_NE(run({"setup", "--help"}).out.find("fork"), std::string::npos);
  EXPECT_NE(run({"per-token", "--help"}).out.find("fork"), std::string::npos);
  const CrossvalResult used =
      json({"per-token", "--model", model_, "--tokens", "1", "--backend", "fork"});
  EXPECT_EQ(used.run.exit_code, 4);
  EXPECT_NE(used.json()["error"]["fix"].get<std::string>().find("setup fork --dir"),
            std::string::npos);
}

TEST_F(Extension, AProgramIsAnEngineWithoutARow) {
  const std::string worker = root + "/docs/examples/worker.py";
  const RunResult set_up = run({"setup", "toy", "--program", "python3", worker});
  ASSERT_EQ(set_up.exit_code, 0) << set_up.err;
  const CrossvalResult listed = json({"backends"});
  const auto& last = listed.json()["backends"].back();
  EXPECT_EQ(last["name"], "toy");
  EXPECT_EQ(last["kind"], "program");
  EXPECT_EQ(last["state"], "ready") << last.dump();
  EXPECT_EQ(last["device"], "CPU");
  const CrossvalResult result = json({"per-token", "--model", model_, "--tokens", "1,2,3",
                                      "--backend", "toy", "--max-tokens", "2"});
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err;  // a toy is not this model
  EXPECT_EQ(result.json()["backend"]["name"], "toy");
  EXPECT_EQ(result.json()["positions"][0]["top1"]["backend"], 2);
  EXPECT_EQ(result.json()["positions"].size(), 5u);
  // It has no tokenizer: native's ids go to both.
  const CrossvalResult text =
      json({"per-token", "--model", model_, "--prompt", "ab", "--prompt-template", "raw",
            "--backend", "toy", "--ladder", "tokens"});
  EXPECT_EQ(text.run.exit_code, 0) << text.run.err;
  EXPECT_NE(text.run.err.find("has no tokenizer"), std::string::npos) << text.run.err;
  // What it shows is recomputed; of what it keeps to itself nothing is said but that.
  const CrossvalResult trace =
      json({"trace", "--model", model_, "--tokens", "1,2,3", "--backend", "toy"});
  EXPECT_EQ(trace.json()["coverage"]["recomputed"], 1) << trace.run.err;
  EXPECT_EQ(trace.json()["taps"][0]["verdict"], "ok");
  EXPECT_TRUE(trace.json()["faults"].empty()) << trace.json()["faults"].dump();
  const auto& hidden = trace.json()["coverage"]["not_shown"];
  EXPECT_NE(std::find(hidden.begin(), hidden.end(), "output_norm.weight"), hidden.end());
}

}  // namespace
}  // namespace crossval::testing
