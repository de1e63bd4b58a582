// What an analysis says of taps without any engine: memory that was written to in between, and
// weights that nothing reads.
#include "verdict/trace_analysis.h"

#include <gtest/gtest.h>

#include "replay/sample_taps.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::ModelEdit;
using testing::TempDir;

TapTensor floats(const char* name, const std::vector<float>& values) {
  return testing::floats({static_cast<int64_t>(values.size()), 1, 1, 1}, values, name);
}

TapTensor negated(const char* name, std::vector<float> values) {
  for (float& value : values) value = -value;
  return floats(name, values);
}

class TraceAnalysisTest : public ::testing::Test {
 protected:
  TraceAnalysisTest() {
    testing::write_tiny_model(folder_.file("m.gguf"));
    ModelEdit edit(folder_.file("m.gguf"));
    edit.add("blk.0.attn_q.scale", GgmlType::F32, {1}, std::vector<std::byte>(4));
    edit.add("blk.0.attn_norm.scale", GgmlType::F32, {1}, std::vector<std::byte>(4));
    edit.write(folder_.file("scaled.gguf"));
    open("m.gguf");
  }

  void open(const std::string& name) {
    analysis_.emplace(ModelFile::open(folder_.file(name)), nullptr,
                      std::make_shared<ThreadPool>(1));
  }

  // "x" is computed as 1, 2; then an operation reads `source`, of `read`.
  TapVerdict verdict_of(std::optional<TapOrigin> origin, const std::vector<float>& read) {
    open("m.gguf");
    add("x", {1, 2}, floats("input", {-1, -2}));
    TapTensor source = floats("x", read);
    source.origin = std::move(origin);
    TapTensor out = negated("y", read);
    add(out, std::move(source));
    TraceReport report;
    analysis_->finish(TracePart::asked_for, report);
    return report.taps.at(1).verdict;
  }

  void add(const char* name, const std::vector<float>& values, TapTensor source) {
    add(floats(name, values), std::move(source));
  }
  void add(TapTensor out, TapTensor source) {
    PlacedTap placed;
    placed.tap.name = out.name;
    placed.tap.op = "NEG";
    placed.tap.sources = {std::move(source)};
    placed.tap.out = std::move(out);
    analysis_->add(placed);
  }

  TempDir folder_;
  std::optional<TraceAnalysis> analysis_;
};

TEST_F(TraceAnalysisTest, MemoryThatWasWrittenToInBetween) {
  const TapOrigin whole{"x", 0, true}, part{"x", 0, false}, another{"x", 1, true};
  EXPECT_EQ(verdict_of(whole, {1, 2}), TapVerdict::ok);
  EXPECT_EQ(verdict_of(whole, {1, 3}), TapVerdict::diverged);
  EXPECT_EQ(verdict_of(part, {2, 2}), TapVerdict::ok);     // another order of the same values
  EXPECT_EQ(verdict_of(another, {1, 3}), TapVerdict::ok);  // a tensor that was not shown
  EXPECT_EQ(verdict_of(std::nullopt, {1, 2}), TapVerdict::ok);
  EXPECT_EQ(verdict_of(std::nullopt, {1, 3}), TapVerdict::diverged);
  EXPECT_EQ(verdict_of(std::nullopt, {1, 2, 3}), TapVerdict::ok);  // another tensor of that name
}

TEST_F(TraceAnalysisTest, OfAnEngineThatTellsOriginsWhatHasNoneIsAnInput) {
  add("x", {1, 2}, floats("input", {-1, -2}));
  TapTensor source = floats("x", {1, 2});
  source.origin = TapOrigin{"x", 0, true};
  add("y", {-1, -2}, source);
  add("z", {-5, -6}, floats("x", {5, 6}));  // another leaf of the name
  TraceReport report;
  analysis_->finish(TracePart::asked_for, report);
  EXPECT_EQ(report.n_diverged, 0);
}

TEST_F(TraceAnalysisTest, AScaleThatNoRowAsksForMayGoUnread) {
  open("scaled.gguf");
  add("x", {1, 2}, floats("input", {-1, -2}));
  TraceReport report;
  analysis_->finish(TracePart::whole_graph, report);
  EXPECT_EQ(report.unread_weights, std::vector<std::string>{"blk.0.attn_norm.scale"});
  ASSERT_TRUE(report.first_divergence);  // the weights themselves are needed
  EXPECT_EQ(report.first_divergence->cause, Cause::weight_unused);
}

TEST_F(TraceAnalysisTest, WhatAnEngineKeepsToItselfIsListedAndNoFault) {
  add("x", {1, 2}, floats("input", {-1, -2}));
  TraceReport report;
  analysis_->finish(TracePart::shown, report);
  EXPECT_FALSE(report.first_divergence);
  EXPECT_TRUE(report.unread_weights.empty());
  EXPECT_TRUE(report.coverage.is_incomplete());
  const auto& hidden = report.coverage.not_shown;
  EXPECT_NE(std::ranges::find(hidden, "blk.0.attn_q.weight"), hidden.end());
  EXPECT_FALSE(report.structure_checked);
}

}  // namespace
}  // namespace crossval
