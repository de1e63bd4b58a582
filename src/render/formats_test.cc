// The outputs for programs and pages of others: every result in every format, and what each
// promises.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "base/error.h"
#include "render/csv.h"
#include "render/junit.h"
#include "render/markdown.h"
#include "render/sample_report.h"
#include "render/well_formed.h"

namespace crossval {
namespace {

const std::string kRubbish = "<script>&\"'\x1b[31m\xff |`*\n,\"\"";

bool has(const std::string& text, const std::string& part) { return text.find(part) != text.npos; }

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

TraceReport sample_self() {
  TraceReport report = sample_trace();
  report.taps.clear();
  report.first_divergence.reset();
  report.self = {SelfRow{.setting = "threads",
                         .changed = "--threads 3",
                         .bit_equal = true,
                         .verdict = SelfVerdict::equal},
                 SelfRow{.setting = "ubatch",
                         .changed = "ubatch=8",
                         .bit_equal = false,
                         .rel_l2 = 0.5,
                         .verdict = SelfVerdict::diverged,
                         .note = kRubbish},
                 SelfRow{.setting = "cache", .changed = "x", .note = "no"}};
  return report;
}

Report failed_report() {
  Report report;
  set_error(report, Error(Status::backend_failed, "crashed", kRubbish, kRubbish, kRubbish));
  return report;
}

std::vector<Result> all_results() {
  Report rubbish = sample_report();
  rubbish.model.path = kRubbish;
  rubbish.engine->info.name = kRubbish;
  for (auto& position : rubbish.positions) position.compared.token.text = kRubbish;
  return {sample_report(),
          rubbish,
          failed_report(),
          Report(),
          ParityReport{
              {sample_report(), failed_report(), sample_report()}, std::nullopt, {"a", "b", "c"}},
          ParityReport(),
          sample_run(),
          RunReport(),
          sample_conversion(),
          ConversionReport(),
          sample_trace(),
          sample_self(),
          TraceReport()};
}

TEST(Junit, EveryResultIsOneWellFormedDocument) {
  for (const Result& result : all_results()) {
    const std::string xml = junit_begin() + junit_result(result, {}) + junit_end();
    SCOPED_TRACE(xml);
    ASSERT_TRUE(xml.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
    expect_tags_match(xml.substr(xml.find('\n')));
    EXPECT_EQ(xml.find_first_of("\x1b\xff"), xml.npos);
    EXPECT_EQ(xml.find("<script"), xml.npos);
    // Every '&' begins an entity.
    for (size_t at = xml.find('&'); at != xml.npos; at = xml.find('&', at + 1)) {
      EXPECT_LT(xml.find(';', at) - at, 8u);
    }
  }
}

TEST(Junit, CountsAreThoseOfTheTestcases) {
  const std::string xml = junit_result(sample_trace(), {});
  EXPECT_TRUE(has(xml, "tests=\"6\" failures=\"1\" errors=\"0\" skipped=\"0\"")) << xml;
  EXPECT_EQ(count(xml, "<testcase "), 6u);
  EXPECT_EQ(count(xml, "<failure "), 1u);
  const std::string self = junit_result(sample_self(), {});
  EXPECT_EQ(count(self, "<skipped "), 1u);
  EXPECT_EQ(count(self, "<failure "), 1u);
}

// Nothing that is not well may look so in a list of passed tests.
TEST(Junit, WhatIsNotAgreementHasAFailureOrAnError) {
  for (const Result& result : all_results()) {
    if (status_of(result) == Status::agree || std::holds_alternative<ParityReport>(result))
      continue;
    const std::string xml = junit_result(result, {});
    EXPECT_TRUE(has(xml, "<failure ") || has(xml, "<error ")) << xml;
  }
  Report weight = sample_report();  // within tolerance, but a weight is NaN
  weight.error.reset();
  for (auto& position : weight.positions) position.verdict = Verdict::ok;
  weight.tokens.first_mismatch.reset();
  weight.non_finite_weight = "blk.0.ffn_up.weight[7]";
  EXPECT_TRUE(has(junit_result(weight, {}), "blk.0.ffn_up.weight[7]"));
  EXPECT_TRUE(has(junit_result(weight, {}), "<failure "));
}

TEST(Csv, OneLineARowAndTheSameColumnsInEach) {
  for (const Result& result : all_results()) {
    const std::string csv = csv_result(result, {});
    // Fields in quotes may hold commas and line ends.
    size_t n_columns = 0, n = 1;
    bool quoted = false;
    std::vector<size_t> widths;
    for (size_t i = 0; i < csv.size(); ++i) {
      if (csv[i] == '"') quoted = !quoted;
      if (quoted) continue;
      if (csv[i] == ',') ++n;
      if (csv[i] == '\n') {
        widths.push_back(n);
        n = 1;
      }
    }
    EXPECT_FALSE(quoted);
    EXPECT_EQ(csv.find('\xff'), csv.npos);  // what is no UTF-8 ends pandas
    ASSERT_FALSE(widths.empty());
    n_columns = widths.front();
    for (const size_t width : widths) EXPECT_EQ(width, n_columns) << csv;
  }
}

TEST(Csv, KeysOfTheJsonAndEmptyForUnknown) {
  const std::string csv = csv_result(sample_report(), {});
  EXPECT_TRUE(csv.starts_with("index,phase,token.id,token.text,cosine,l2,rel_l2,")) << csv;
  EXPECT_TRUE(has(csv, "\r\n1,prompt,2, a,"));
  EXPECT_EQ(count(csv, "\r\n"), 4u);
  Report unknown = sample_report();
  unknown.metrics = parse_metrics("kl");
  EXPECT_TRUE(has(csv_result(unknown, {}), "0,prompt,1,<s>,,,,"));
}

TEST(Csv, SeveralPromptsHaveTheHeaderOnce) {
  const std::string first = csv_result(sample_report(), {.number = 1});
  const std::string second = csv_result(sample_report(), {.number = 2});
  EXPECT_TRUE(first.starts_with("prompt,index,"));
  EXPECT_TRUE(second.starts_with("2,0,prompt,")) << second;
}

TEST(Markdown, IsShortAndNothingInItIsMarkup) {
  for (const Result& result : all_results()) {
    const std::string text = markdown_result(result, {});
    EXPECT_TRUE(text.starts_with("### "));
    EXPECT_FALSE(has(text, "<script")) << text;
    EXPECT_EQ(count(text, "<details>"), count(text, "</details>"));
    EXPECT_EQ(text.find_first_of("\x1b\xff"), text.npos);
  }
  Report large = sample_report();
  for (int i = 0; i < 5000; ++i) large.positions.push_back(large.positions[1]);
  EXPECT_LT(markdown_result(large, {}).size(), 16u << 10);
  EXPECT_TRUE(has(markdown_result(large, {}), "more are in the JSON"));
}

}  // namespace
}  // namespace crossval
