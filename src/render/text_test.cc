#include "render/text.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/error.h"
#include "render/conversion_text.h"
#include "render/sample_report.h"
#include "render/visible.h"

namespace crossval {
namespace {

using testing::Test;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Report diverged_report() {
  Report report = sample_report();
  report.error.reset();
  report.tokens.first_mismatch.reset();
  return report;
}

// The same rows on both sides, or as far apart as the arithmetics.
Report agreeing_report() {
  Report report = diverged_report();
  const std::vector<float> e = {1, 5, 2, 4}, b = {1, 5, 2, 4.5F}, r = {1, 5, 2.4F, 4};
  Comparison comparison;
  comparison.add({0, Phase::prompt, {1, "<s>"}, e, e, r});
  comparison.add({1, Phase::prompt, {2, " a"}, e, b, r});
  set_judgement(report, judge(comparison, report.tolerance, {4, 1}));
  return report;
}

TEST(Text, EveryPositionWithItsVerdict) {
  const std::string text = per_token_text(diverged_report(), {});
  for (const char* part : {"\"<s>\"", "\" a\"", "\"b\\n\"", "prompt", "decode", "diverged",
                           "cosine", "top10", "nan/inf", "Q4_1", "134.5 M parameters", "native 0.1",
                           "selected by metadata", "3 ids, the same on both sides"}) {
    EXPECT_TRUE(contains(text, part)) << part << "\n" << text;
  }
  EXPECT_TRUE(
      contains(text, "diverged: 1 of 3 positions beyond tolerance, the first is position 1"))
      << text;
  EXPECT_TRUE(contains(text, "crossval trace")) << text;
}

TEST(Text, AgreementSaysWhatItMeans) {
  const std::string text = per_token_text(agreeing_report(), {});
  EXPECT_TRUE(contains(text, "agree: 2 of 2 positions within tolerance; lowest cosine 0.99"))
      << text;
  EXPECT_TRUE(contains(text, "noise: 1 position below cosine 0.999")) << text;
  EXPECT_TRUE(contains(text, "same at 2 of 2")) << text;
}

TEST(Text, AutoWithoutNoiseSaysSo) {
  Report report = agreeing_report();
  report.summary->max_noise_ratio.reset();
  EXPECT_TRUE(contains(meaning_text(report), "so the cosine alone decides"));
}

TEST(Text, ColourOnlyWhenAsked) {
  const Report report = sample_report();
  EXPECT_FALSE(contains(per_token_text(report, {}), "\x1b"));
  EXPECT_TRUE(contains(per_token_text(report, {.color = true, .one_line = false}), "\x1b[31;1m"));
}

TEST(Text, ColumnsFollowTheMetrics) {
  Report report = diverged_report();
  report.metrics = parse_metrics("kl");
  const std::string text = per_token_text(report, {});
  EXPECT_TRUE(contains(text, " kl "));
  EXPECT_FALSE(contains(text, "rel_l2"));
  EXPECT_FALSE(contains(text, "top10"));
}

TEST(Text, TokenMismatchShowsBothSidesAndTheHint) {
  Report report = sample_report();
  report.error.reset();
  report.status = Status::token_mismatch;
  report.tokens.match = false;
  report.positions.clear();
  report.summary.reset();
  const std::string text = per_token_text(report, {});
  EXPECT_TRUE(contains(text, "ids differ first at index 1: engine 2 \" a\", backend 3 \"b\""))
      << text;
  EXPECT_TRUE(contains(text, "hint: why"));
  EXPECT_TRUE(contains(text, ">      1  2 \" a\"")) << text;
}

TEST(Text, ErrorsSayWhatWhereAndHowToFix) {
  Report report;
  set_error(report,
            Error(Status::bad_input, "not_gguf", "not a GGUF file\x1b[2J", "a.bin", "get one"));
  const std::string text = per_token_text(report, {});
  EXPECT_EQ(text,
            "bad_input: not a GGUF file\\u{1B}[2J [not_gguf]\n  where: a.bin\n  fix:   get one\n");
}

TEST(Text, NothingComparedNeverReadsAsAgreement) {
  EXPECT_FALSE(contains(per_token_text(Report{}, {}), "agree"));
  Report tokens_only = diverged_report();
  tokens_only.positions.clear();
  tokens_only.summary.reset();
  tokens_only.status = Status::agree;
  EXPECT_TRUE(contains(per_token_text(tokens_only, {}),
                       "agree: the ids are the same; logits were not compared"));
}

TEST(Text, NonFiniteAndShiftAreNamed) {
  Report report = diverged_report();
  report.summary->n_non_finite = 2;
  EXPECT_TRUE(contains(meaning_text(report), "2 positions with logits that are not numbers"));
  report.summary->shift = 1;
  EXPECT_TRUE(contains(meaning_text(report), "engine's row p is the backend's row p+1"));
  Report weight = agreeing_report();
  weight.status = Status::diverged;
  weight.non_finite_weight = "blk.0.ffn_up.weight[7]";
  EXPECT_TRUE(contains(meaning_text(weight), "the model file holds one at blk.0.ffn_up.weight[7]"));
  EXPECT_TRUE(contains(meaning_text(weight), "2 positions within tolerance, but a weight"));
}

TEST(Text, RunAndParityAndIds) {
  EXPECT_TRUE(contains(run_text(sample_run(), {}), "\" x\" 1.5000"));
  EXPECT_TRUE(contains(run_text(sample_run(), {}), "ok: prompt 100.0 tokens/s"));
  const std::string parity = parity_text({{diverged_report()}, std::nullopt}, {});
  EXPECT_TRUE(contains(parity, "native against llama.cpp"));
  EXPECT_TRUE(contains(parity, "diverged: no single outlier can be named"));
  ParityReport three{{diverged_report(), diverged_report(), diverged_report()},
                     Vote{"b", {"a", "c"}, "b differs from a and c"},
                     {"a", "b", "c"}};
  three.pairs[2].status = Status::agree;
  three.pairs[1].backend->log = {"warning: unknown type"};
  const std::string matrix = parity_text(three, {});
  EXPECT_TRUE(contains(matrix, "b against c"));
  EXPECT_TRUE(contains(matrix, "said:\n  | warning: unknown type"));
  EXPECT_TRUE(contains(matrix, "diverged: b differs from a and c"));
  const TokenText tokens[] = {{7, "a\tb"}};
  EXPECT_TRUE(contains(token_list_text("engine", tokens), "7 \"a\\tb\""));
}

TEST(Renderers, ByName) {
  EXPECT_STREQ(find_renderer("json").name, "json");
  EXPECT_STREQ(find_renderer("text").name, "text");
  EXPECT_THROW(find_renderer("xml"), Error);
}

TEST(Visible, EscapesWhatATerminalWouldObey) {
  EXPECT_EQ(visible("a\x1b[2J\x7f"), "a\\u{1B}[2J\\u{7F}");
  EXPECT_EQ(visible("\xC2\x9B"), "\\u{9B}");              // C1 control
  EXPECT_EQ(visible("\xE2\x80\xAE"), "\\u{202E}");        // right-to-left override
  EXPECT_EQ(visible("\xF0\x9F\x98"), "\\xF0\\x9F\\x98");  // cut emoji
  EXPECT_EQ(
      visible("\xC0\xAF\xED\xA0\x80\xF4\x90\x80\x80").find_first_not_of("\\xABCDEF0123456789"),
      std::string::npos);  // overlong, surrogate, beyond Unicode
  EXPECT_EQ(visible("é日本\n\\"), "é日本\\n\\\\");
}

TEST(Visible, CellsHaveExactlyTheirColumns) {
  for (const std::string piece : {"", "a", "0123456789", "01234567890", "日本語日本語", "e\xCC\x81",
                                  "😀😀😀😀😀😀", "\xFF\xFF\xFF\xFF"}) {
    EXPECT_EQ(columns(visible_cell(piece, 10)), 10) << piece;
  }
  EXPECT_EQ(columns(visible_cell(std::string(100000, 'x'), 10)), 10);
  EXPECT_EQ(visible_cell("01234567890", 10), "012345678…");
}

TEST(Text, ConversionTellsEachFault) {
  const std::string text = conversion_text(sample_conversion());
  EXPECT_TRUE(contains(text, "keys            14 compared, 1 differ"));
  EXPECT_TRUE(contains(text, "key llama.rope.freq_base\n  cause       key wrong"));
  EXPECT_TRUE(contains(text, "one of 64 weights"));
  EXPECT_TRUE(contains(text, "diverged: 2 things in the GGUF are not as the checkpoint has them"));
}

}  // namespace
}  // namespace crossval
