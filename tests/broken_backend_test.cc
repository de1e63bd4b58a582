// Backends that die, hang or lie, met as a user meets them: exit 4, one Error that names the stage
// and the signal, and nothing left behind (no process, no half-written file).
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "support/crossval_run.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

const std::string bin_dir = std::filesystem::path(CROSSVAL_BIN).parent_path();

// A worker:PATH that misbehaves in a given way when asked for a given operation.
std::string fake_worker(const TempDir& dir, const std::string& mode, const std::string& op) {
  const std::string path = dir.file("worker-" + mode + "-" + op);
  write_text(path, "#!/bin/sh\nexec '" + bin_dir + "/fake_worker' " + mode + " " + op + "\n");
  chmod(path.c_str(), 0755);
  return "worker:" + path;
}

struct Break {
  const char *mode, *op, *said;
};

class BrokenWorker : public ::testing::TestWithParam<Break> {};

TEST_P(BrokenWorker, IsExitFourWithAnErrorThatSaysWhatHappened) {
  SKIP_WITHOUT(smollm2);
  TempDir dir;
  const Break& broken = GetParam();
  const CrossvalResult result =
      run_crossval(CROSSVAL_BIN, {"per-token", "--model", smollm2, "--prompt", "Hello", "--backend",
                                  fake_worker(dir, broken.mode, broken.op), "--timeout", "2",
                                  "--receipt", dir.file("receipt.json")});
  EXPECT_EQ(result.run.exit_code, 4) << result.run.err;
  EXPECT_FALSE(result.run.timed_out);
  ASSERT_EQ(result.objects.size(), 1u) << result.run.out;
  EXPECT_EQ(result.json()["status"], "backend_failed");
  const std::string what = result.json()["error"].dump();
  EXPECT_NE(what.find(broken.said), std::string::npos) << what;
  // The receipt is the same object, whole.
  EXPECT_EQ(nlohmann::json::parse(read_text(dir.file("receipt.json")))["error"],
            result.json()["error"]);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, BrokenWorker,
    ::testing::Values(Break{"segv", "load", "SIGSEGV"}, Break{"ill", "load", "SIGILL"},
                      Break{"kill", "tokenize", "SIGKILL"}, Break{"abort", "tokenize", "SIGABRT"},
                      Break{"exit", "load", "code 3"}, Break{"hang", "tokenize", "timed out"},
                      Break{"garbage", "load", "load"}, Break{"badjson", "load", "load"},
                      Break{"truncate", "tokenize", "tokenize"},
                      Break{"absurd", "tokenize", "tokenize"}, Break{"segv", "hello", "SIGSEGV"}),
    [](const auto& way) { return std::string(way.param.mode) + "_" + way.param.op; });

// A library that is there and loads, and dies in its first kernel.
TEST(Backends, EngineThatCannotComputeIsBroken) {
  SKIP_WITHOUT(llama_new);
  TempDir home, dir;
  const RunOptions options = {.env = {{"CROSSVAL_HOME", home.path()}, {"LLAMA_CPP_DIR", ""}}};
  ASSERT_EQ(run_program({CROSSVAL_BIN, "setup", "llama", "--dir", llama_new, "--quiet"}, options)
                .exit_code,
            0);
  const auto llama = [&] {
    const CrossvalResult result = run_crossval(CROSSVAL_BIN, {"backends"}, options);
    for (const auto& backend : result.json()["backends"]) {
      if (backend["name"] == "llama") return backend;
    }
    return nlohmann::json();
  };
  const nlohmann::json before = llama();
  ASSERT_EQ(before["state"], "ready") << before;
  const std::string worker = before["worker"];
  std::filesystem::remove(worker);
  // Beside it, where a worker may read.
  const std::string fake = std::filesystem::path(worker).parent_path() / "fake_worker";
  std::filesystem::copy_file(FAKE_WORKER_BIN, fake);
  write_text(worker, "#!/bin/sh\nexec " + fake + " ill eval\n");
  std::filesystem::permissions(worker, std::filesystem::perms::owner_all);
  const nlohmann::json after = llama();
  EXPECT_EQ(after["state"], "broken") << after;
  EXPECT_NE(after["reason"].get<std::string>().find("SIGILL"), std::string::npos) << after;
  EXPECT_NE(after["fix"].get<std::string>().find("setup llama"), std::string::npos) << after;
}

class RealWorker : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT(smollm2);
    SKIP_WITHOUT(llama_new);
    std::string text;
    for (int i = 0; i < 300; ++i) text += "A long prompt, so that there is time to strike. ";
    write_text(dir_.file("long.txt"), text);
    // The model under a name of this test's own: worker processes are found by it.
    std::filesystem::create_symlink(smollm2, dir_.file("model.gguf"));
    write_text(
        dir_.file("strike.sh"),
        "'" CROSSVAL_BIN
        "' per-token --model \"$1/model.gguf\" --prompt-file \"$1/long.txt\" "
        "--prompt-template raw --format json --receipt \"$1/receipt.json\" --save-trace "
        "\"$1/trace\" >\"$1/out.json\" 2>\"$1/err.txt\" &\n"
        "pid=$!\nfor i in $(seq 200); do worker=$(pgrep -P "
        "\"$(pgrep -d, -P $pid)\" crossval-worker) && break; sleep 0.05; done\nsleep 1.5\nif [ "
        "\"$2\" = worker ]; then kill -KILL $worker; "
        "else kill -$2 $pid; fi\nwait $pid\necho $? >\"$1/code\"\n"
        "for i in $(seq 40); do grep -qs '^State:.[^Z]' /proc/$worker/status || exit 0; sleep "
        "0.05; done\ngrep ^State /proc/$worker/status >\"$1/worker-left\"\n");
  }
  void strike(const std::string& how) {
    run_program({"bash", dir_.file("strike.sh"), dir_.path(), how},
                {.env = {{"LLAMA_CPP_DIR", llama_new}}});
    code_ = std::stoi(read_text(dir_.file("code")));
    EXPECT_FALSE(std::filesystem::exists(dir_.file("worker-left")));
    if (std::filesystem::exists(dir_.file("trace"))) {
      EXPECT_TRUE(std::filesystem::is_empty(dir_.file("trace"))) << "a half-written trace is left";
    }
  }
  TempDir dir_;
  int code_ = -1;
};

TEST_F(RealWorker, KilledInTheMiddleIsExitFourWithSignalAndStage) {
  strike("worker");
  EXPECT_EQ(code_, 4);
  const auto report = nlohmann::json::parse(read_text(dir_.file("out.json")));
  EXPECT_EQ(report["status"], "backend_failed");
  EXPECT_NE(report["error"].dump().find("SIGKILL"), std::string::npos) << report["error"];
  EXPECT_NE(report["error"].dump().find("eval"), std::string::npos) << report["error"];
  // What was found before stays: the ids of both sides.
  EXPECT_EQ(report["tokens"]["match"], true);
  EXPECT_EQ(nlohmann::json::parse(read_text(dir_.file("receipt.json")))["status"],
            "backend_failed");
}

TEST_F(RealWorker, CtrlCEndsTheWorkerAndLeavesNothing) {
  strike("INT");
  EXPECT_EQ(code_, 130);
  EXPECT_FALSE(std::filesystem::exists(dir_.file("receipt.json")));
}

TEST_F(RealWorker, DiesWithItsParent) {
  strike("KILL");
  EXPECT_EQ(code_, 137);
}

}  // namespace
}  // namespace crossval::testing
