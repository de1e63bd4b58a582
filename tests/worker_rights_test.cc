// A worker that tries: each attempt is refused, and the run still ends well.
#include <gtest/gtest.h>

#include <filesystem>

#include "sandbox/rights.h"
#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class WorkerSandbox : public ::testing::Test {
 protected:
  void SetUp() override {
    write_tiny_model(model_);
    std::filesystem::create_directories(home_ + "/.ssh");
    write_text(home_ + "/.ssh/id", "a key");
    write_text(home_ + "/plain", "a file");
  }
  // What nosy_worker found out, by attempt; its own errors are the test's.
  nlohmann::json attempts(const std::string& sandbox) {
    RunOptions options;
    options.env = {{"HOME", home_},
                   {"NOSY_HOME", home_},
                   {"MY_SECRET", "s"},
                   {"MY_SETTING", "5"},
                   {"OMP_NUM_THREADS", "1"}};
    const CrossvalResult result =
        run_crossval(CROSSVAL_BIN,
                     {"run", "--engine", std::string("worker:") + NOSY_WORKER_BIN, "--model",
                      model_, "--tokens", "3,4", "--max-tokens", "0", "--sandbox", sandbox},
                     options);
    EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
    words_ = result.json()["engine"]["sandbox"].get<std::string>();
    return nlohmann::json::parse(
        result.json()["engine"]["settings"]["attempts"].get<std::string>());
  }
  TempDir dir_;
  std::string model_ = dir_.file("m.gguf"), home_ = dir_.file("home"), words_;
};

TEST_F(WorkerSandbox, each_attempt_is_refused) {
  if (!kernel_offers().missing().empty()) GTEST_SKIP() << kernel_offers().missing().front();
  const nlohmann::json found = attempts("strict");
  EXPECT_EQ(words_, "files, network, memory");
  for (const char* what : {"socket", "read_key", "write_home", "write_tmp", "read_parent_memory",
                           "write_parent_memory", "ptrace_parent", "signal_parent",
                           "read_parent_environment", "new_privileges", "see_secret"}) {
    ASSERT_TRUE(found.contains(what)) << what;
    EXPECT_NE(found[what], "done") << what;
  }
  for (const char* what : {"read_plain", "see_setting"}) EXPECT_EQ(found[what], "done") << what;
}

TEST_F(WorkerSandbox, off_is_off_and_says_so) {
  const nlohmann::json found = attempts("off");
  EXPECT_EQ(words_, "off");
  // So the attempts above are real ones.
  for (const char* what : {"read_key", "write_home", "write_tmp", "see_secret", "socket"}) {
    EXPECT_EQ(found[what], "done") << what;
  }
}

}  // namespace
}  // namespace crossval::testing
