// No result is lost in silence, and none replaces what it was made from.
#include <gtest/gtest.h>

#include "support/crossval_run.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class Output : public ::testing::Test {
 protected:
  void SetUp() override { write_tiny_model(model_); }
  // A command line of the shell, which has "$CV" and "$M".
  RunResult shell(const std::string& line) {
    RunOptions options;
    options.env = {{"CV", CROSSVAL_BIN}, {"M", model_}, {"D", dir_.path()}};
    return run_program({"/bin/bash", "-c", line}, options);
  }
  TempDir dir_;
  std::string model_ = dir_.file("m.gguf");
};

const std::string run_it = "\"$CV\" run --model \"$M\" --tokens 3,4,5,6 --max-tokens 0 ";

TEST_F(Output, a_full_or_deserted_stdout_is_exit_3) {
  for (const std::string& command :
       {run_it, run_it + "--format json", std::string("\"$CV\" inspect \"$M\""),
        std::string("\"$CV\" backends"), std::string("\"$CV\" --help")}) {
    const RunResult full = shell(command + " > /dev/full");
    EXPECT_EQ(full.exit_code, 3) << command;
    EXPECT_NE(full.err.find("could not be written"), std::string::npos) << command << full.err;
  }
}

TEST_F(Output, closed_streams_do_not_mix_with_files) {
  const RunResult log = shell(run_it + "--verbose --save-trace \"$D/t.safetensors\" 2>&-");
  EXPECT_EQ(log.exit_code, 0);
  const std::string compare = "\"$CV\" compare \"$D/t.safetensors\" \"$D/t.safetensors\"";
  EXPECT_EQ(shell(compare).exit_code, 0);
  EXPECT_EQ(shell(run_it + "--save-trace \"$D/u.safetensors\" 0<&- 1>&- 2>&-").exit_code, 0);
  EXPECT_EQ(shell("\"$CV\" compare \"$D/t.safetensors\" \"$D/u.safetensors\"").exit_code, 0);
}

TEST_F(Output, what_is_read_or_of_another_kind_is_not_replaced) {
  const std::string before = read_text(model_);
  ASSERT_EQ(shell(run_it + "--save-trace \"$D/a.safetensors\"").exit_code, 0);
  const std::string trace = read_text(dir_.file("a.safetensors"));
  for (const char* line :
       {"\"$CV\" run --model \"$M\" --tokens 3 --save-trace \"$M\" --format json",
        "\"$CV\" per-token --model \"$M\" --tokens 3 --receipt \"$M\" --format json",
        "\"$CV\" trace --model \"$M\" --tokens 3 --receipt \"$M\" --format json",
        "\"$CV\" compare \"$D/a.safetensors\" \"$D/a.safetensors\" --receipt \"$D/a.safetensors\"",
        "\"$CV\" report \"$D/receipt.json\" -o \"$M\""}) {
    const RunResult result = shell(line);
    EXPECT_EQ(result.exit_code, 3) << line;
    EXPECT_NE(result.err.find("[output_is_input]"), std::string::npos) << line << result.err;
  }
  EXPECT_EQ(read_text(model_), before);
  EXPECT_EQ(read_text(dir_.file("a.safetensors")), trace);
  // What an earlier run left is replaced.
  const std::string receipt =
      "\"$CV\" compare \"$D/a.safetensors\" \"$D/a.safetensors\" --receipt \"$D/receipt.json\"";
  for (int i = 0; i < 2; ++i) EXPECT_EQ(shell(receipt).exit_code, 0);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(shell("\"$CV\" report \"$D/receipt.json\" -o \"$D/page.html\"").exit_code, 0);
    EXPECT_EQ(shell(run_it + "--save-trace \"$D/a.safetensors\"").exit_code, 0);
  }
}

TEST_F(Output, a_full_disk_ends_the_file_and_keeps_the_run) {
  const RunResult result =
      shell("ulimit -f 1; " + run_it + "--save-trace \"$D/t.safetensors\" --format json");
  EXPECT_EQ(result.exit_code, 3);
  const auto json = nlohmann::json::parse(result.out);
  EXPECT_EQ(json["error"]["code"], "disk_full");
  EXPECT_EQ(json["positions"].size(), 4U);
  EXPECT_FALSE(std::filesystem::exists(dir_.file("t.safetensors")));
}

TEST_F(Output, bad_flags_are_told_in_the_commands_own_object) {
  for (const char* command : {"per-token", "trace", "run", "inspect"}) {
    const RunResult result =
        shell(std::string("\"$CV\" ") + command + " --no-such-flag --format json");
    EXPECT_EQ(result.exit_code, 3);
    const auto json = nlohmann::json::parse(result.out);
    EXPECT_EQ(json["schema"], std::string("crossval/") + command + "/1");
    EXPECT_EQ(json["error"]["code"], "bad_flags");
  }
}

}  // namespace
}  // namespace crossval::testing
