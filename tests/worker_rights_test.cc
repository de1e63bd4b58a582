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
  std::vector<std::string> refused = {"socket",    "read_key",       "write_home",
                                      "write_tmp", "new_privileges", "see_secret",
                                      "new_user",  "new_processes"};
  for (const char* whom : {"keeper", "program"}) {
    for (const char* what :
         {"read_memory_of_", "write_memory_of_", "ptrace_", "signal_", "read_environment_of_"}) {
      refused.push_back(std::string(what) + whom);
    }
  }
  for (const std::string& what : refused) {
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

// A daemon in a session of its own, and we are killed outright: it, its keeper and the worker end.
TEST_F(WorkerSandbox, what_it_started_does_not_outlive_us) {
  const std::string worker = dir_.file("worker"), fake = dir_.file("fake_worker");
  std::filesystem::copy_file(FAKE_WORKER_BIN, fake);
  write_text(worker, "#!/bin/sh\nexec " + fake + " session eval\n");
  std::filesystem::permissions(worker, std::filesystem::perms::owner_all);
  write_text(dir_.file("kill.sh"),
             "count() { pgrep -f \"^$1/fake_worker\" | wc -l; }\n"
             "'" CROSSVAL_BIN
             "' run --engine worker:$1/worker --model $1/m.gguf --tokens 3,4 "
             "--sandbox $2 >/dev/null 2>&1 &\n"
             "for i in $(seq 200); do [ $(count $1) = 2 ] && break; sleep 0.05; done\n"
             "echo before $(count $1)\nkill -KILL $!\nwait $! 2>/dev/null\n"
             "for i in $(seq 60); do [ $(count $1) = 0 ] && break; sleep 0.05; done\n"
             "echo after $(count $1)\npkill -KILL -f \"^$1/fake_worker\"\nexit 0\n");
  for (const char* sandbox : {"auto", "off"}) {
    const RunResult result = run_program({"bash", dir_.file("kill.sh"), dir_.path(), sandbox});
    EXPECT_EQ(result.out, "before 2\nafter 0\n") << sandbox << result.err;
  }
}

}  // namespace
}  // namespace crossval::testing
