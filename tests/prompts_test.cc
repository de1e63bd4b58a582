// Many prompts: one result a line on every path, one file a prompt, and those as the other side.
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class Prompts : public ::testing::Test {
 protected:
  Prompts() {
    write_tiny_model(model_);
    write_text(prompts_,
               "{\"tokens\": [1, 2, 3]}\n{\"tokens\": [4, 5]}\n{\"tokens\": [1, 2, 9]}\n");
  }
  RunResult run(std::vector<std::string> args) {
    args.insert(args.begin(), CROSSVAL_BIN);
    return run_program(args, {.env = {{"CROSSVAL_HOME", dir_.file("home")}}});
  }
  // A program that is a fake worker with these arguments, as --engine and --backend take it.
  std::string fake_worker(const std::string& name, const std::string& args) {
    const std::string path = dir_.file(name);
    write_text(path, std::string("#!/bin/sh\nexec '") + FAKE_WORKER_BIN + "' " + args + "\n");
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return "worker:" + path;
  }
  static size_t n_lines(const std::string& text) {
    return static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
  }

  TempDir dir_;
  std::string model_ = dir_.file("m.gguf"), prompts_ = dir_.file("p.jsonl");
};

TEST_F(Prompts, ErrorsBeforeTheFirstPromptAreOneObjectOnALineToo) {
  const std::string missing = dir_.file("none.jsonl");
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"per-token", "--model", model_, "--prompts", missing},
           {"per-token", "--model", missing, "--prompts", prompts_, "--backend", "native"},
           {"per-token", "--model", model_, "--prompts", prompts_, "--backend", "nosuch"},
           {"per-token", "--model", model_, "--prompts", prompts_, "--backend", "native,nosuch"},
           {"per-token", "--model", model_, "--prompts", prompts_, "--nosuch"},
           {"run", "--model", missing, "--prompts", prompts_}}) {
    auto all = args;
    all.insert(all.end(), {"--format", "json"});
    const RunResult result = run(all);
    EXPECT_EQ(n_lines(result.out), 1u) << result.out;
    const auto json = nlohmann::json::parse(result.out, nullptr, false);
    ASSERT_FALSE(json.is_discarded()) << result.out;
    EXPECT_EQ(json["exit_code"], result.exit_code);
    EXPECT_GT(result.exit_code, 2);
    EXPECT_EQ(json["run"]["version"].is_string(), true);
  }
}

TEST_F(Prompts, AWorkerThatDiedIsStartedAgainForTheNext) {
  const std::string worker = fake_worker("worker", "segv eval");
  const RunResult result =
      run({"per-token", "--engine", worker, "--backend", worker, "--model", model_, "--prompts",
           prompts_, "--format", "json", "--max-tokens", "0"});
  EXPECT_EQ(result.exit_code, 4) << result.err;
  std::istringstream lines(result.out);
  int n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["error"]["code"], "worker_crashed") << line;  // not worker_gone
  }
  EXPECT_EQ(n, 3);
}

TEST_F(Prompts, AWorkerThatDiesNowAndThenIsNeverGivenUp) {
  const std::string good = fake_worker("good", ""), dies = fake_worker("dies", "kill eval 3");
  std::string prompts;
  for (int i = 0; i < 120; ++i) prompts += "{\"tokens\": [1, 2, 3]}\n";
  write_text(prompts_, prompts);
  const RunResult result = run({"per-token", "--engine", good, "--backend", dies, "--model", model_,
                                "--prompts", prompts_, "--format", "json", "--max-tokens", "0"});
  EXPECT_EQ(result.exit_code, 4) << result.err;
  std::istringstream lines(result.out);
  int n = 0, n_compared = 0, n_crashed = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    const auto json = nlohmann::json::parse(line);
    if (json["error"].is_null()) {
      ++n_compared;
    } else {
      EXPECT_EQ(json["error"]["code"], "worker_crashed") << line;
      ++n_crashed;
    }
  }
  EXPECT_EQ(n, 120);
  EXPECT_GT(n_crashed, 16);
  EXPECT_GE(n_compared, n_crashed);
}

TEST_F(Prompts, ADeadlineEndsTheRunWhateverWaits) {
  const std::string worker = fake_worker("worker", "hang eval");
  const RunResult result = run({"run", "--engine", worker, "--model", model_, "--prompts", prompts_,
                                "--format", "json", "--deadline", "1"});
  EXPECT_EQ(result.exit_code, 4) << result.err;
  EXPECT_FALSE(result.timed_out);
  std::istringstream lines(result.out);
  int n = 0;
  for (std::string line; std::getline(lines, line); ++n) {
    EXPECT_EQ(nlohmann::json::parse(line)["error"]["code"], "deadline") << line;
  }
  EXPECT_EQ(n, 3);
}

TEST_F(Prompts, EachIsSavedInAFileOfItsOwnAndPlayedBack) {
  const std::string base = dir_.file("base.safetensors");
  const RunResult saved = run(
      {"run", "--model", model_, "--prompts", prompts_, "--save-trace", base, "--max-tokens", "2"});
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  for (const char* number : {"1", "2", "3"}) {
    EXPECT_TRUE(
        std::filesystem::exists(dir_.file("base-000" + std::string(number) + ".safetensors")));
  }
  EXPECT_FALSE(std::filesystem::exists(base));
  const CrossvalResult compared =
      run_crossval(CROSSVAL_BIN, {"per-token", "--model", model_, "--prompts", prompts_,
                                  "--backend", "trace:" + base, "--max-tokens", "2"});
  EXPECT_EQ(compared.run.exit_code, 0) << compared.run.err;
  ASSERT_EQ(compared.objects.size(), 3u);
  for (const auto& object : compared.objects) {
    EXPECT_EQ(object["status"], "agree") << object["finding"];
    EXPECT_EQ(object["summary"]["max_abs"], 0) << object["summary"];
  }
}

TEST_F(Prompts, BothSidesOfEachAreSaved) {
  const std::string traces = dir_.file("traces");
  const RunResult saved = run({"per-token", "--model", model_, "--prompts", prompts_, "--backend",
                               "native", "--save-trace", traces, "--max-tokens", "1"});
  ASSERT_EQ(saved.exit_code, 0) << saved.err;
  const CrossvalResult compared = run_crossval(
      CROSSVAL_BIN,
      {"compare", traces + "/engine-0003.safetensors", traces + "/backend-0003.safetensors"});
  EXPECT_EQ(compared.run.exit_code, 0) << compared.run.err;
  EXPECT_EQ(compared.json()["tokens"]["engine"],
            (std::vector<int>{1, 2, 9, compared.json()["tokens"]["engine"][3].get<int>()}));
}

TEST_F(Prompts, OtherFormatsAreOneDocument) {
  const auto in = [&](const char* format) {
    return run({"per-token", "--model", model_, "--prompts", prompts_, "--backend", "native",
                "--format", format})
        .out;
  };
  const std::string junit = in("junit");
  EXPECT_TRUE(junit.starts_with("<?xml"));
  EXPECT_TRUE(junit.ends_with("</testsuites>\n"));
  const auto count = [](const std::string& text, const std::string& part) {
    size_t n = 0;
    for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count(junit, "<testsuite "), 3u);
  EXPECT_EQ(count(junit, "<?xml"), 1u);
  EXPECT_EQ(count(in("csv"), "prompt,index,"), 1u);
  EXPECT_EQ(count(in("markdown"), "### "), 3u);
}

// A context is made for each prompt, and for each prompt once.
TEST_F(Prompts, EachSideIsResetOnceAPrompt) {
  const RunResult result =
      run({"per-token", "--model", model_, "--prompts", prompts_, "--backend",
           "worker:" + root + "/docs/examples/worker.py", "--gate", "cosine", "--verbose"});
  size_t n_resets = 0, n_evals = 0;
  std::istringstream lines(result.err);
  for (std::string line; std::getline(lines, line);) {
    n_resets += line.starts_with("worker: toy reset ");
    n_evals += line.starts_with("worker: toy eval ");
  }
  EXPECT_EQ(n_resets, 3u) << result.err;
  EXPECT_EQ(n_evals, 3u * 5) << result.err;  // the prompt and four decoded ids
}

TEST_F(Prompts, NothingLookedAtIsNeverAgreement) {
  for (const auto& [flag, value] : {std::pair{"--taps", "nosuch"}, {"--layers", "40-50"}}) {
    const CrossvalResult result =
        run_crossval(CROSSVAL_BIN, {"trace", "--model", model_, "--tokens", "1,2", "--backend",
                                    "worker:" FAKE_WORKER_BIN, flag, value});
    EXPECT_NE(result.run.exit_code, 0) << result.run.out;
  }
}

}  // namespace
}  // namespace crossval::testing
