// Every kind of receipt becomes well-formed markup in which nothing from a receipt is markup.
#include "render/report_page.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "base/error.h"
#include "render/json.h"
#include "render/log_chart.h"
#include "render/sample_report.h"
#include "render/well_formed.h"

namespace crossval {
namespace {

const std::string kScript = "<script>alert(\"1\")</script>&'\x1b[31m\xff";

std::string page(const std::string& json) { return report_page(parse_receipts(json, "r.json")); }

void expect_well_formed(const std::string& html) {
  expect_tags_match(html);
  for (const char* outside : {"<script", "src=", "url(", "@import", "href=\"http", "\x1b"}) {
    EXPECT_EQ(html.find(outside), html.npos) << outside;
  }
}

bool has(const std::string& html, const std::string& part) { return html.find(part) != html.npos; }

TEST(ReportPage, PerToken) {
  const std::string html = page(json_of(sample_report(), {}));
  expect_well_formed(html);
  for (const char* part :
       {"✗ diverged", "tiny.gguf", "kv_type=f16", "selected by metadata",
        "Ids around the first mismatch", "<p>hint: why</p>", "<dt>fix</dt><dd>fix</dd>",
        "class=\"diverged\"", "All 3 positions", "b\\n", "&lt;|im_start|&gt;"}) {
    EXPECT_TRUE(has(html, part)) << part;
  }
}

TEST(ReportPage, Trace) {
  const std::string html = page(json_of(sample_trace(), {}));
  expect_well_formed(html);
  for (const char* part : {"in llama.cpp, Kcur-2, MUL_MAT, is off by 1.00e-02", "because &lt;b&gt;",
                           "Worst tensor of each layer", "not recomputed: SSM_SCAN", "own error"}) {
    EXPECT_TRUE(has(html, part)) << part;
  }
}

TEST(ReportPage, TraceDiffHasNoOwnErrors) {
  const std::string html = page(R"({"schema": "crossval/trace/1", "status": "diverged",
    "exit_code": 1, "engine": {"name": "a"}, "backend": {"name": "b"}, "n_taps": 2,
    "first_divergence": {"tensor": "Qcur-0", "op": "ROPE", "rel_l2": 0.5, "position": 3},
    "taps": [{"tensor": "norm-0", "op": "NORM", "layer": 0, "rel_l2": 0, "verdict": "ok"},
      {"tensor": "Qcur-0", "op": "ROPE", "layer": 0, "rel_l2": 0.5, "verdict": "diverged"}],
    "error": null})");
  expect_well_formed(html);
  EXPECT_TRUE(has(html, "first at Qcur-0 ROPE; worst at position 3"));  // older than findings
  EXPECT_TRUE(has(html, "Distance of the two runs at each tensor"));
}

TEST(ReportPage, ParityHasMatrixAndVote) {
  ParityReport parity{{sample_report(), sample_report(), sample_report()}, std::nullopt};
  parity.participants = {"native", "llama.cpp", "bit<net>"};
  parity.vote = Vote{"bit<net>", {"native", "llama.cpp"}, "two agree against one"};
  const std::string html = page(json_of(parity, {}));
  expect_well_formed(html);
  EXPECT_TRUE(has(html, "two agree against one"));
  EXPECT_TRUE(has(html, "<th>bit&lt;net&gt;</th>"));
  EXPECT_TRUE(has(html, "llama.cpp against bit&lt;net&gt;"));
}

TEST(ReportPage, Conversion) {
  const std::string html = page(json_of(sample_conversion(), {}));
  expect_well_formed(html);
  EXPECT_TRUE(has(html, "2 things in the GGUF are not as the checkpoint has them"));
  EXPECT_TRUE(has(html, "<code>llama.rope.freq_base</code>"));
  EXPECT_TRUE(has(html, "model.layers.0.&lt;b&gt;"));
  EXPECT_TRUE(has(html, "what it is for is not known"));
}

TEST(ReportPage, Run) {
  const std::string html = page(json_of(sample_run(), {}));
  expect_well_formed(html);
  EXPECT_TRUE(has(html, "✓ ok"));
  EXPECT_TRUE(has(html, "prompt 100.0 tokens/s"));
  EXPECT_TRUE(has(html, "5 &quot; x&quot;"));
}

TEST(ReportPage, NothingFromAReceiptIsMarkup) {
  Report report = sample_report();
  report.prompt = {kScript, kScript, kScript + "\n2"};
  report.model.path = kScript;
  report.engine->info.settings = {{kScript, kScript}};
  report.engine->log = {kScript};
  report.backend->info.name = kScript;
  report.tokens.first_mismatch->hint = kScript;
  report.tokens.first_mismatch->engine->text = kScript;
  for (auto& position : report.positions) position.compared.token.text = kScript;
  report.error = ErrorReport{kScript, kScript, kScript, kScript};
  const std::string html = report_page(parse_receipts(
      json_of(report, {.one_line = true}) + json_of(sample_run(), {.one_line = true}), kScript));
  expect_well_formed(html);
  EXPECT_TRUE(has(html, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;&#39;\\u{1B}[31m"));
  EXPECT_TRUE(has(html, "href=\"#r2\""));
}

TEST(ReportPage, UnknownNumbersAndNoPositions) {
  Report report = sample_report();
  report.error = std::nullopt;
  for (auto& position : report.positions) {
    position.compared.metrics = PositionMetrics{};  // as of NaN logits: nothing has a number
    position.noise_ratio = std::nullopt;
    position.verdict = Verdict::diverged;
  }
  expect_well_formed(page(json_of(report, {})));
  expect_well_formed(page(json_of(Report{}, {})));
  expect_well_formed(page(json_of(RunReport{}, {})));
  expect_well_formed(page(json_of(ParityReport{}, {})));
  expect_well_formed(page(json_of(TraceReport{}, {})));
  EXPECT_TRUE(has(page(json_of(Report{}, {})), "nothing was compared"));
}

TEST(ReportPage, AReceiptThatContradictsItselfIsNotShownAsAgreement) {
  Report report = sample_report();
  report.error = std::nullopt;
  report.tokens.first_mismatch = std::nullopt;
  report.status = Status::agree;  // though a position diverged
  EXPECT_THROW(page(json_of(report, {})), Error);
  TraceReport trace = sample_trace();
  trace.base.status = Status::agree;
  EXPECT_THROW(page(json_of(trace, {})), Error);
  std::string json = json_of(sample_report(), {});
  json.replace(json.find("\"n_positions\":3"), 15, "\"n_positions\":4");
  EXPECT_THROW(page(json), Error);
}

TEST(LogChart, GapsZerosAndExtremes) {
  LogChart chart;
  const double tiny = std::numeric_limits<double>::denorm_min();
  chart.series = {{"x", ChartStyle::main, {1e300, std::nullopt, tiny, 0.0, -1.0}}};
  chart.diverged = {1, 4, 99};
  Html out;
  add_log_chart(chart, out);
  expect_well_formed(out.str());
  EXPECT_TRUE(has(out.str(), ">1e300</text>"));
  EXPECT_TRUE(has(out.str(), ">&lt; 1e300</text>"));
  EXPECT_FALSE(has(out.str(), "nan"));
  EXPECT_FALSE(has(out.str(), "inf"));
  chart.series[0].values = {tiny, 0.0};
  Html low;
  add_log_chart(chart, low);
  EXPECT_TRUE(has(low.str(), ">1e-323</text>"));
  EXPECT_TRUE(has(low.str(), ">0</text>"));
  LogChart empty;
  empty.series = {{"x", ChartStyle::main, {std::nullopt}}};
  Html nothing;
  add_log_chart(empty, nothing);
  EXPECT_TRUE(nothing.str().empty());
}

}  // namespace
}  // namespace crossval
