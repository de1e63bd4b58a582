// Two model files on two sides: what differs in them is said, and nothing that bears on the logits
// ends in agreement, however near the logits are.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

class TwoFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT(llama_new);
    write_tiny_model(model_, {.n_embd = 64});
  }
  CrossvalResult run(const std::string& command, std::vector<std::string> more) {
    std::vector<std::string> args = {command, "--tokens", "5,9,77,31"};
    args.insert(args.end(), more.begin(), more.end());
    RunOptions options;
    options.env["LLAMA_CPP_DIR"] = llama_new;
    return run_crossval(CROSSVAL_BIN, args, options);
  }
  CrossvalResult against(const std::string& command,
                         const std::function<void(ModelEdit&)>& change) {
    ModelEdit edit(model_);
    change(edit);
    const std::string other = dir_.file("other.gguf");
    edit.write(other);
    return run(command, {"--model", model_, "--backend-model", other});
  }

  TempDir dir_;
  std::string model_ = dir_.file("model.gguf");
};

TEST_F(TwoFiles, WhatDoesNotBearOnTheLogitsIsNoAlarm) {
  for (const char* command : {"per-token", "trace"}) {
    const CrossvalResult result = against(command, [](ModelEdit& edit) {
      edit.metadata().set_string("general.name", "another name");
      edit.metadata().set_u32("llama.unknown_to_all", 3);
      edit.move_to_front("output_norm.weight");
    });
    EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
    const auto& diff = result.json()["model_diff"];
    ASSERT_TRUE(diff.is_object());
    EXPECT_FALSE(diff["bears"]);
    EXPECT_EQ(diff["keys"].size(), 2U);
  }
}

// No architecture of llama.cpp reads a key of that name here, so that the logits are the same.
TEST_F(TwoFiles, AKeyThatBearsIsNoAgreementAlthoughTheLogitsAre) {
  for (const char* command : {"per-token", "trace"}) {
    const CrossvalResult result = against(
        command, [](ModelEdit& edit) { edit.metadata().set_f32("llama.residual_scale", 0.5f); });
    EXPECT_EQ(result.run.exit_code, 1) << result.run.err;
    EXPECT_EQ(result.json()["model_diff"]["keys"][0]["key"], "llama.residual_scale");
    EXPECT_NE(result.json()["finding"]["headline"].get<std::string>().find("not the same model"),
              std::string::npos);
  }
}

TEST_F(TwoFiles, OneBitOfAWeightIsNoAgreement) {
  const CrossvalResult result = against("per-token", [](ModelEdit& edit) {
    edit.edit_bytes("blk.0.ffn_down.weight",
                    [](std::vector<std::byte>& bytes) { bytes[400] ^= std::byte{1}; });
  });
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err;
  EXPECT_EQ(result.json()["model_diff"]["tensors"][0]["tensors"][0], "blk.0.ffn_down.weight");
}

TEST_F(TwoFiles, TwoFaultsAreBothListed) {
  const CrossvalResult result = against("trace", [](ModelEdit& edit) {
    edit.scale("blk.0.attn_v.weight", 1.5f);
    edit.metadata().set_f32("llama.rope.freq_base", 500);
  });
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err;
  std::vector<std::string> causes;
  for (const auto& fault : result.json()["faults"]) causes.push_back(fault["cause"]);
  EXPECT_EQ(causes.size(), 2U);
  EXPECT_NE(std::ranges::find(causes, "scaled"), causes.end());
  EXPECT_NE(std::ranges::find(causes, "rope_base"), causes.end());
}

TEST_F(TwoFiles, OfSeveralFaultsTheShareIsMeasured) {
  const CrossvalResult result = against("trace", [](ModelEdit& edit) {
    edit.scale("blk.0.attn_v.weight", 1.01f);
    edit.scale("blk.1.ffn_down.weight", 1.5f);
    edit.metadata().set_f32("llama.rope.freq_base", 9000);
  });
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err;
  std::map<std::string, nlohmann::json> shares;  // by the fault's weight
  for (const auto& fault : result.json()["faults"]) {
    const std::string weight = fault["weights"].empty() ? "none" : fault["weights"][0];
    shares[weight] = fault["share"];
  }
  ASSERT_TRUE(shares["blk.0.attn_v.weight"].is_number());
  ASSERT_TRUE(shares["blk.1.ffn_down.weight"].is_number());
  EXPECT_GT(shares["blk.0.attn_v.weight"], 0);
  EXPECT_LT(shares["blk.0.attn_v.weight"], 0.2);
  EXPECT_GT(shares["blk.1.ffn_down.weight"], 0.8);
  EXPECT_LT(shares["blk.1.ffn_down.weight"], 1.2);
  ASSERT_TRUE(shares.contains("none"));  // of the rotation
  EXPECT_TRUE(shares["none"].is_null());
  const CrossvalResult one =
      against("trace", [](ModelEdit& edit) { edit.scale("blk.0.attn_v.weight", 1.5f); });
  EXPECT_TRUE(one.json()["faults"][0]["share"].is_null());
}

}  // namespace
}  // namespace crossval::testing
