// The real llama.cpp computes graphs in which one operation is left out or too many: no operation
// is wrong by itself, and logits may not show it. `trace` says which it is.
#include <gtest/gtest.h>

#include <string>

#include "arch/archs.h"
#include "support/arch_model.h"
#include "support/crossval_run.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

class GraphFault : public ::testing::Test {
 protected:
  void SetUp() override {
    SKIP_WITHOUT(llama_new);
    const CrossvalResult backends =
        run_crossval(CROSSVAL_BIN, {"backends"}, {.env = {{"LLAMA_CPP_DIR", llama_new}}});
    for (const auto& backend : backends.json()["backends"]) {
      if (backend["name"] == "llama" && backend["worker"].is_string()) worker_ = backend["worker"];
    }
    if (worker_.empty()) GTEST_SKIP() << "llama.cpp is not set up; `make engines` does that";
    write_arch_model(model_, *find_arch("gemma2"));
  }

  // Two layers of Gemma 2: norms on both sides of the blocks, soft caps.
  nlohmann::json trace(const std::string& fault) const {
    const CrossvalResult result = run_crossval(
        CROSSVAL_BIN,
        {"trace", "--tokens", "5,9,77,31,8", "--backend", "worker:" + worker_, "--model", model_},
        {.env = {{"LD_PRELOAD", GRAPH_FAULT_LIBRARY}, {"CROSSVAL_GRAPH_FAULT", fault}}});
    return result.json();
  }
  void expect_named(const std::string& fault, const std::string& cause,
                    const std::string& sentence) const {
    const nlohmann::json json = trace(fault);
    EXPECT_EQ(json["exit_code"], 1) << fault;
    EXPECT_EQ(json["coverage"]["structure"], "checked");
    ASSERT_TRUE(json["first_divergence"].is_object()) << fault;
    EXPECT_EQ(json["first_divergence"]["cause"], cause) << fault;
    const std::string said = json["first_divergence"]["explanation"];
    EXPECT_EQ(said.find(sentence), 0U) << fault << ": " << said;
  }

  TempDir dir_;
  std::string worker_, model_ = dir_.file("m.gguf");
};

TEST_F(GraphFault, SoundGraphHasNone) {
  const nlohmann::json json = trace("");
  EXPECT_EQ(json["exit_code"], 0) << json["finding"];
  EXPECT_EQ(json["coverage"]["structure"], "checked");
  EXPECT_TRUE(json["faults"].empty());
}

TEST_F(GraphFault, WhatIsLeftOutIsNamed) {
  expect_named("tanh 1 drop", "operation_missing",
               "layer 1 lacks a TANH: it has 0 where the architecture calls for 1 (soft cap of the "
               "scores); layer 0 has it in TANH at kq_tanh-0");
  expect_named("tanh 2 drop", "operation_missing", "the graph outside of its layers lacks a TANH");
  expect_named("rope 3 drop", "operation_missing",
               "layer 1 lacks a rotation (ROPE): it has 1 where the architecture calls for 2");
  expect_named("rms_norm 2 drop", "operation_missing",
               "layer 0 lacks a norm: it has 3 where the architecture calls for 4");
}

TEST_F(GraphFault, WhatIsTooManyIsNamed) {
  expect_named("rms_norm 5 twice", "operation_extra", "layer 1 has one too many of the kind norm");
  expect_named("add 1 scale", "operation_extra", "layer 0 multiplies values by");
}

}  // namespace
}  // namespace crossval::testing
