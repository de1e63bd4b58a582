// `cmake --install`: what is there, and that it works from anywhere, set-up of an engine included.
#include <gtest/gtest.h>

#include <filesystem>

#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

namespace fs = std::filesystem;

class Install : public ::testing::Test {
 protected:
  void SetUp() override {
    const RunResult result = run_program({"cmake", "--install", CROSSVAL_BUILD, "--prefix", "/usr"},
                                         {.env = {{"DESTDIR", dir_.file("stage")}}});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    fs::rename(dir_.file("stage"), dir_.file("moved"));  // nothing may know where it was
  }
  RunResult run(const std::string& program, std::vector<std::string> args) {
    args.insert(args.begin(), dir_.file("moved/usr/bin/" + program));
    return run_program(args, {.env = {{"CROSSVAL_HOME", dir_.file("home")}}, .directory = "/"});
  }
  TempDir dir_;
};

TEST_F(Install, HasProgramManualCompletionsAndWorkers) {
  const std::string usr = dir_.file("moved/usr/");
  for (const char* file :
       {"bin/crossval", "bin/crossval-per-token", "bin/crossval-http-worker",
        "share/man/man1/crossval.1", "share/bash-completion/completions/crossval",
        "share/zsh/site-functions/_crossval", "share/fish/vendor_completions.d/crossval.fish",
        "share/crossval/workers/llama/main.cc", "share/crossval/workers/hf/__main__.py",
        "share/crossval/workers/hf/requirements.txt", "share/crossval/src/engine/wire.h"}) {
    EXPECT_TRUE(fs::exists(usr + file)) << file;
  }
  EXPECT_EQ(run("crossval", {"--version"}).exit_code, 0);
  EXPECT_NE(run("crossval-per-token", {"--help"}).out.find("--cos-tol"), std::string::npos);
  const RunResult bash =
      run_program({"bash", "-n", usr + "share/bash-completion/completions/crossval"});
  EXPECT_EQ(bash.exit_code, 0) << bash.err;
  const RunResult words = run_program({"bash", "-c",
                                       "source '" + usr +
                                           "share/bash-completion/completions/crossval'; "
                                           "COMP_WORDS=(crossval per-token --format j); "
                                           "COMP_CWORD=3; _crossval; echo ${COMPREPLY[@]}"});
  EXPECT_EQ(words.out, "json junit\n") << words.err;
}

TEST_F(Install, SetsUpAnEngineFromAnyFolder) {
  SKIP_WITHOUT(llama_new);
  const RunResult set_up = run("crossval", {"setup", "llama", "--dir", llama_new});
  ASSERT_EQ(set_up.exit_code, 0) << set_up.err;
  const std::string model = dir_.file("m.gguf");
  write_tiny_model(model);
  const RunResult result = run("crossval-per-token", {"--model", model, "--tokens", "1,2,3"});
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(Install, NamedBuildsAndFoldersOfOneEngine) {
  SKIP_WITHOUT(llama_new);
  SKIP_WITHOUT(llama_old);
  ASSERT_EQ(run("crossval", {"setup", "llama", "--dir", llama_new, "--as", "new"}).exit_code, 0);
  const std::string model = dir_.file("m.gguf");
  write_tiny_model(model);
  // A folder is set up on the way, and not remembered.
  const RunResult result = run(
      "crossval-per-token", {"--model", model, "--tokens", "1,2,3", "--engine",
                             "llama:" + llama_old, "--backend", "llama:new", "--gate", "cosine"});
  EXPECT_EQ(result.exit_code, 0) << result.err << result.out;
  EXPECT_NE(result.out.find("b3889"), std::string::npos) << result.out;
  EXPECT_NE(result.out.find(llama_old), std::string::npos) << result.out;  // told apart by path
  EXPECT_NE(result.out.find("on CPU"), std::string::npos) << result.out;
  const RunResult listed = run("crossval", {"backends"});
  EXPECT_NE(listed.out.find("llama:new"), std::string::npos);
  EXPECT_EQ(listed.out.find("b3889"), std::string::npos) << listed.out;
}

}  // namespace
}  // namespace crossval::testing
