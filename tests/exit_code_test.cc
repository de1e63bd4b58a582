// Each exit code by a real case with a real engine, and its Error or JSON.
#include <gtest/gtest.h>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

const char* const prompt = "Write a haiku about rounding errors in floating point sums.";

class ExitCode : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT(smollm2);
    SKIP_WITHOUT(llama_new);
  }
  CrossvalResult per_token(std::vector<std::string> args, RunOptions options = {}) {
    args.insert(args.begin(), "per-token");
    options.env.emplace("LLAMA_CPP_DIR", llama_new);
    return run_crossval(CROSSVAL_BIN, args, options);
  }
  // A copy of the real model with one thing changed.
  std::string edited(const std::function<void(ModelEdit&)>& change) {
    ModelEdit edit(smollm2);
    change(edit);
    const std::string path = dir_.file("edited.gguf");
    edit.write(path);
    return path;
  }
  TempDir dir_;
};

void expect_error(const CrossvalResult& result, int exit_code, const std::string& status) {
  EXPECT_EQ(result.run.exit_code, exit_code) << result.run.err;
  ASSERT_EQ(result.objects.size(), 1u) << result.run.out;
  EXPECT_EQ(result.json()["status"], status);
  EXPECT_EQ(result.json()["exit_code"], exit_code);
  const auto& error = result.json()["error"];
  ASSERT_TRUE(error.is_object());
  for (const char* key : {"code", "what", "where", "fix"}) EXPECT_NE(error[key], "") << key;
  EXPECT_NE(result.run.err.find(error["what"].get<std::string>()), std::string::npos);
}

TEST_F(ExitCode, ZeroWhenTheEnginesAgree) {
  const CrossvalResult result = per_token({"--model", smollm2, "--prompt", prompt});
  EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
  EXPECT_EQ(result.json()["status"], "agree");
  EXPECT_EQ(result.json()["backend"]["name"], "llama.cpp");
  EXPECT_EQ(result.json()["model"]["sha256"].get<std::string>().size(), 64u);
  EXPECT_TRUE(result.json()["error"].is_null());
}

TEST_F(ExitCode, OneWhenTheBackendHasOneChangedWeightTensor) {
  const std::string other = edited([](ModelEdit& edit) { edit.negate("blk.9.ffn_up.weight"); });
  const CrossvalResult result =
      per_token({"--model", smollm2, "--backend-model", other, "--prompt", prompt});
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err;
  EXPECT_EQ(result.json()["status"], "diverged");
  EXPECT_TRUE(result.json()["summary"]["first_divergence"].is_number());
}

TEST_F(ExitCode, TwoWhenThePreTokenizerDiffers) {
  const std::string other = edited(
      [](ModelEdit& edit) { edit.metadata().set_string("tokenizer.ggml.pre", "llama-bpe"); });
  const CrossvalResult result =
      per_token({"--model", smollm2, "--backend-model", other, "--prompt",
                 "x = 1;\n\n\n    y = 2;  \n\n", "--prompt-template", "raw"});
  EXPECT_EQ(result.run.exit_code, 2) << result.run.err;
  EXPECT_EQ(result.json()["status"], "token_mismatch");
  const auto& mismatch = result.json()["tokens"]["first_mismatch"];
  ASSERT_TRUE(mismatch.is_object());
  EXPECT_NE(mismatch["hint"].get<std::string>().find("tokenizer.ggml.pre is smollm"),
            std::string::npos);
  EXPECT_TRUE(result.json()["positions"].empty());
}

TEST_F(ExitCode, TwoWhenTheBosFlagDiffers) {
  const std::string other = edited(
      [](ModelEdit& edit) { edit.metadata().set_bool("tokenizer.ggml.add_bos_token", true); });
  const CrossvalResult result = per_token({"--model", smollm2, "--backend-model", other, "--prompt",
                                           "Hello", "--prompt-template", "raw"});
  EXPECT_EQ(result.run.exit_code, 2) << result.run.err;
  EXPECT_EQ(result.json()["tokens"]["first_mismatch"]["index"], 0);
}

TEST_F(ExitCode, ThreeForInputThatCannotBeUsed) {
  write_text(dir_.file("no.gguf"), "this is not a model");
  write_text(dir_.file("bad.jinja"), "{{ raise_exception('no') }}");
  write_text(dir_.file("bad.json"), "{not a tokenizer");
  const std::string vocab_end = "49152";
  const std::vector<std::vector<std::string>> cases = {
      {"--model", dir_.file("absent.gguf"), "--prompt", "x"},
      {"--model", dir_.file("no.gguf"), "--prompt", "x"},
      {"--model", dir_.path(), "--prompt", "x"},
      {"--model", smollm2},
      {"--model", smollm2, "--prompt", "x", "--tokens", "1,2"},
      {"--model", smollm2, "--prompt", "", "--prompt-template", "raw"},
      {"--model", smollm2, "--tokens", ""},
      {"--model", smollm2, "--tokens", "1," + vocab_end},
      {"--model", smollm2, "--tokens", "1,-2"},
      {"--model", smollm2, "--tokens", "1,two"},
      {"--model", smollm2, "--prompt-file", dir_.file("absent.txt")},
      {"--model", smollm2, "--prompt", "x", "--max-tokens", "9000"},
      {"--model", smollm2, "--prompt", "x", "--prompt-template", dir_.file("bad.jinja")},
      {"--model", smollm2, "--prompt", "x", "--prompt-template", "no-such-template"},
      {"--model", smollm2, "--prompt", "x", "--tokenizer", dir_.file("bad.json")},
      {"--model", smollm2, "--prompt", "x", "--backend", "no-such-backend"},
      {"--model", smollm2, "--prompt", "x", "--backend-opt", "no_such_setting=1"},
      {"--model", smollm2, "--prompt", "x", "--cos-tol", "2"},
      {"--model", smollm2, "--prompt", "x", "", "--no-such-flag"},
      {"--model", smollm2, "--prompt", "x", "--timeout", "nan"},
      {"--model", smollm2, "--prompt", "x", "--deadline", "nan"},
      {"--model", smollm2, "--prompt", "x", "--deadline", "1e17"},
      {"--model", smollm2, "--prompt", "x", "--no-such-flag"},
      {"--model", smollm2, "--prompt", "x", "--backend",
       "trace:" + dir_.file("absent.safetensors")},
      {"--model", smollm2, "--prompt", "x", "--receipt", "/dev/full"},
  };
  for (const auto& args : cases) {
    std::string line;
    for (const std::string& arg : args) line += arg + " ";
    SCOPED_TRACE(line);
    expect_error(per_token(args), 3, "bad_input");
  }
}

TEST_F(ExitCode, FourWhenTheBackendIsNotSetUp) {
  const CrossvalResult result =
      per_token({"--model", smollm2, "--prompt", "x"}, {.env = {{"LLAMA_CPP_DIR", dir_.path()}}});
  expect_error(result, 4, "backend_failed");
  EXPECT_NE(result.json()["error"]["fix"].get<std::string>().find("setup llama --dir"),
            std::string::npos);
}

TEST_F(ExitCode, FourWhenTheEngineRefusesTheModel) {
  // A tensor too many: native would leave it out, llama.cpp counts them.
  const std::string other = edited([](ModelEdit& edit) {
    edit.add("blk.3.attn_new.weight", GgmlType::F32, {4}, std::vector<std::byte>(16));
  });
  const CrossvalResult result =
      per_token({"--model", smollm2, "--backend-model", other, "--prompt", "x"});
  expect_error(result, 4, "backend_failed");
}

TEST_F(ExitCode, ThreeWithOurReasonWhereTheFileIsNotWhole) {
  const std::string other = edited([](ModelEdit& edit) { edit.remove("blk.3.attn_q.weight"); });
  const CrossvalResult result =
      per_token({"--model", smollm2, "--backend-model", other, "--prompt", "x"});
  expect_error(result, 3, "bad_input");
  EXPECT_NE(result.run.err.find("blk.3.attn_q.weight"), std::string::npos);
}

TEST_F(ExitCode, AReceiptOnAFullDiskIsLostButTheResultIsNot) {
  const CrossvalResult result =
      per_token({"--model", smollm2, "--prompt", "x", "--receipt", dir_.file("receipt.json")},
                {.max_file_bytes = 100});
  EXPECT_EQ(result.run.exit_code, 3);
  EXPECT_FALSE(result.json()["positions"].empty());
  EXPECT_EQ(dir_.n_entries(), 0);
}

TEST_F(ExitCode, ATraceComparesLikeTheRunItWasSavedFrom) {
  const CrossvalResult run =
      per_token({"--model", smollm2, "--prompt", prompt, "--save-trace", dir_.path()});
  ASSERT_EQ(run.run.exit_code, 0) << run.run.err;
  const CrossvalResult again = run_crossval(
      CROSSVAL_BIN, {"compare", dir_.file("engine.safetensors"), dir_.file("backend.safetensors")});
  EXPECT_EQ(again.run.exit_code, 0) << again.run.err;
  ASSERT_EQ(again.json()["positions"].size(), run.json()["positions"].size());
  for (size_t i = 0; i < run.json()["positions"].size(); ++i) {
    const auto &a = run.json()["positions"][i], &b = again.json()["positions"][i];
    EXPECT_EQ(a["cosine"], b["cosine"]);
    EXPECT_EQ(a["kl"], b["kl"]);
    EXPECT_EQ(a["phase"], b["phase"]);
    EXPECT_EQ(a["verdict"], b["verdict"]);
  }
  // And as a side of a new run: the saved ids are checked against the prompt's.
  const CrossvalResult replayed = per_token({"--model", smollm2, "--prompt", prompt, "--backend",
                                             "trace:" + dir_.file("backend.safetensors")});
  EXPECT_EQ(replayed.run.exit_code, 0) << replayed.run.err;
}

}  // namespace
}  // namespace crossval::testing
