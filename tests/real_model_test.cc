// The main job on the real thing: SmolLM2-135M-Instruct through native and through two llama.cpp
// builds two years apart. Clean pairs agree on every prompt, planted faults diverge on every one.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "real_prompts.h"
#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

std::string write_prompts(const TempDir& dir, const std::vector<std::string>& prompts) {
  std::string lines;
  for (const std::string& prompt : prompts) {
    lines += nlohmann::json{{"prompt", prompt}}.dump() + "\n";
  }
  const std::string path = dir.file("prompts.jsonl");
  write_text(path, lines);
  return path;
}

std::string describe(const nlohmann::json& report) {
  return report["prompt"]["text"].dump() + " -> " + report["status"].dump() + " " +
         report["summary"].dump() + " " + report["error"].dump();
}

class RealEngines : public ::testing::TestWithParam<std::string> {};

TEST_P(RealEngines, AgreeOnEveryKindOfPrompt) {
  const std::string engine_dir = root + "/.cache/engines/" + GetParam();
  SKIP_WITHOUT(smollm2);
  SKIP_WITHOUT(engine_dir);
  TempDir dir;
  for (const std::string prompt_template : {"raw", "auto"}) {
    const auto prompts = prompt_template == "raw" ? real_prompts() : quick_prompts();
    const CrossvalResult result =
        run_crossval(CROSSVAL_BIN,
                     {"per-token", "--model", smollm2, "--prompts", write_prompts(dir, prompts),
                      "--backend", "llama", "--prompt-template", prompt_template},
                     {.env = {{"LLAMA_CPP_DIR", engine_dir}}, .timeout_ms = 600'000});
    EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
    ASSERT_EQ(result.objects.size(), prompts.size());
    for (const auto& report : result.objects) {
      EXPECT_EQ(report["status"], "agree") << describe(report);
      EXPECT_TRUE(report["tokens"]["match"]) << describe(report);
      EXPECT_EQ(report["positions"].size(), report["tokens"]["engine"].size() + 4);
      for (const auto& position : report["positions"]) {
        EXPECT_FALSE(position["noise_ratio"].is_null());
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(LlamaCpp, RealEngines, ::testing::Values("llama-v0.5.0", "llama-b3889"),
                         [](const auto& name) {
                           return std::string(name.param == "llama-b3889" ? "b3889" : "v050");
                         });

struct Fault {
  const char* name;
  std::function<void(ModelEdit&)> plant;
};

const Fault faults[] = {
    {"LinearRopeScalingBy2",
     [](ModelEdit& edit) {
       edit.metadata().set_string("llama.rope.scaling.type", "linear");
       edit.metadata().set_f32("llama.rope.scaling.factor", 2.0f);
     }},
    {"NegatedFfnUpOfAnEarlyLayer", [](ModelEdit& edit) { edit.negate("blk.2.ffn_up.weight"); }},
    {"NegatedFfnUpOfAMiddleLayer", [](ModelEdit& edit) { edit.negate("blk.14.ffn_up.weight"); }},
    {"NegatedFfnUpOfTheLastLayer", [](ModelEdit& edit) { edit.negate("blk.29.ffn_up.weight"); }},
    {"GateAndUpExchangedEarly",
     [](ModelEdit& edit) { edit.swap("blk.3.ffn_gate.weight", "blk.3.ffn_up.weight"); }},
    {"GateAndUpExchangedLate",
     [](ModelEdit& edit) { edit.swap("blk.20.ffn_gate.weight", "blk.20.ffn_up.weight"); }},
};

class PlantedFault : public ::testing::TestWithParam<Fault> {};

TEST_P(PlantedFault, DivergesOnEveryPromptLongerThanTwentyIds) {
  SKIP_WITHOUT(smollm2);
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  ModelEdit edit(smollm2);
  GetParam().plant(edit);
  const std::string faulty = dir.file("faulty.gguf");
  edit.write(faulty);
  const CrossvalResult result =
      run_crossval(CROSSVAL_BIN,
                   {"per-token", "--model", smollm2, "--backend-model", faulty, "--prompts",
                    write_prompts(dir, quick_prompts()), "--backend", "llama", "--prompt-template",
                    "raw", "--max-tokens", "0"},
                   {.env = {{"LLAMA_CPP_DIR", llama_new}}, .timeout_ms = 600'000});
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err;
  int n_long = 0;
  for (const auto& report : result.objects) {
    if (report["tokens"]["engine"].size() <= 20) continue;
    ++n_long;
    EXPECT_EQ(report["status"], "diverged") << describe(report);
    EXPECT_FALSE(report["summary"]["first_divergence"].is_null());
  }
  EXPECT_GE(n_long, 8);
}

INSTANTIATE_TEST_SUITE_P(SmolLM2, PlantedFault, ::testing::ValuesIn(faults),
                         [](const auto& fault) { return std::string(fault.param.name); });

TEST(PlantedNan, IsNeverAgreement) {
  SKIP_WITHOUT(smollm2);
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  for (const char* tensor :
       {"blk.0.attn_q.weight", "blk.7.ffn_up.weight", "blk.29.ffn_down.weight", "token_embd.weight",
        "output_norm.weight", "blk.11.attn_norm.weight"}) {
    ModelEdit edit(smollm2);
    edit.set_nan(tensor, 12345 % static_cast<int64_t>(edit.values(tensor).size()));
    const std::string damaged = dir.file("nan.gguf");
    edit.write(damaged);
    // In the file that both read, and in the backend's alone (ggml rounds a NaN activation to a
    // number, so its logits may look harmless).
    for (const bool both : {true, false}) {
      std::vector<std::string> args = {
          "per-token", "--model", both ? damaged : smollm2, "--prompt", "The capital of France is",
          "--backend", "llama"};
      if (!both) args.insert(args.end(), {"--backend-model", damaged});
      const CrossvalResult result =
          run_crossval(CROSSVAL_BIN, args, {.env = {{"LLAMA_CPP_DIR", llama_new}}});
      EXPECT_EQ(result.run.exit_code, 1) << tensor << both << result.run.err;
      EXPECT_EQ(result.json()["status"], "diverged") << tensor << both;
    }
  }
}

TEST(ExactNumerics, EqualLlamaCppOnTheF32CopyToTheLastDigits) {
  SKIP_WITHOUT(smollm2);
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  ModelEdit edit(smollm2);
  edit.convert_matrices(GgmlType::F32);
  const std::string f32 = dir.file("f32.gguf");
  edit.write(f32);
  const CrossvalResult result = run_crossval(
      CROSSVAL_BIN,
      {"per-token", "--model", smollm2, "--backend-model", f32, "--numerics", "exact", "--backend",
       "llama", "--prompt-template", "raw", "--prompts", write_prompts(dir, quick_prompts())},
      {.env = {{"LLAMA_CPP_DIR", llama_new}}, .timeout_ms = 600'000});
  EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
  for (const auto& report : result.objects) {
    double sum = 0;
    for (const auto& position : report["positions"]) {
      const double rel = position["rel_l2"];
      sum += rel * rel;
    }
    EXPECT_LT(sum / static_cast<double>(report["positions"].size()), 1e-10) << describe(report);
  }
}

}  // namespace
}  // namespace crossval::testing
