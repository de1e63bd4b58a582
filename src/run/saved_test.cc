// Two saved runs: decoding that parted, noise from the model, and what cannot be known without it.
#include "run/saved.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/trace_file.h"
#include "run/single.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::TempDir;

constexpr int kVocab = 8;

class SavedRuns : public ::testing::Test {
 protected:
  // Row i peaks at ids[i + 1], as greedy decoding has it; `bend` moves every logit but the largest.
  void save(const char* name, const std::vector<TokenId>& ids, int n_prompt, float bend = 0) {
    TraceWriter file(folder_.file(name), {{trace_key::kNPrompt, std::to_string(n_prompt)}}, kVocab);
    for (size_t i = 0; i < ids.size(); ++i) {
      std::vector<float> row(kVocab);
      for (int t = 0; t < kVocab; ++t) {
        row[static_cast<size_t>(t)] =
            std::sin(static_cast<float>(t + 3 * ids[i])) + bend * std::cos(static_cast<float>(t));
      }
      file.write_row(ids[i], row);
    }
    file.finish();
  }
  Report compare(const std::string& model = "", double cos_tol = 0.999) {
    CompareOptions options;
    options.a = folder_.file("a");
    options.b = folder_.file("b");
    options.model.model = model;
    options.cos_tol = cos_tol;
    return compare_saved(options, progress_);
  }
  static bool says(const Report& report, const std::string& words) {
    return std::ranges::any_of(report.remarks, [&](const std::string& remark) {
      return remark.find(words) != std::string::npos;
    });
  }

  TempDir folder_;
  NoProgress progress_;
};

TEST_F(SavedRuns, decoding_that_parted_is_compared_up_to_there) {
  save("a", {1, 2, 3, 4, 5}, 2);
  save("b", {1, 2, 3, 6, 5}, 2);
  const Report report = compare();
  EXPECT_EQ(report.status, Status::agree);
  EXPECT_EQ(report.positions.size(), 3U);
  EXPECT_TRUE(says(report, "chose 4 and 6 after position 2"));
  save("b", {1, 2, 3}, 2);
  EXPECT_EQ(compare().status, Status::agree);
  EXPECT_TRUE(says(compare(), "ends after position 2"));
}

TEST_F(SavedRuns, prompts_that_differ_are_a_token_mismatch_and_no_rule_is_made_up) {
  save("a", {1, 2, 3}, 3);
  save("b", {1, 4, 3}, 3);
  const Report report = compare();
  EXPECT_EQ(report.status, Status::token_mismatch);
  ASSERT_TRUE(report.tokens.first_mismatch);
  EXPECT_EQ(report.tokens.first_mismatch->rule, "ids_alone");
}

TEST_F(SavedRuns, without_noise_what_may_be_rounding_is_inconclusive) {
  save("a", {1, 2, 3}, 3);
  save("b", {1, 2, 3}, 3, 0.1f);
  EXPECT_EQ(compare().status, Status::inconclusive);
  EXPECT_EQ(compare("", 0.95).status, Status::agree);
  save("b", {1, 2, 3}, 3, 2);  // more than any rounding
  EXPECT_EQ(compare().status, Status::diverged);
}

TEST_F(SavedRuns, the_model_tells_rounding_from_a_fault) {
  const std::string model = folder_.file("m.gguf");
  testing::write_tiny_model(model, {.matrix_type = GgmlType::Q4_0});
  for (const auto& [name, numerics] :
       {std::pair("a", NumericsChoice::ggml), std::pair("b", NumericsChoice::exact)}) {
    RunOptions run;
    run.model.model = model;
    run.model.numerics = numerics;
    run.model.max_tokens = 0;
    run.prompt.tokens = "5,6,7,8,9,10,11,12";
    run.prompt.has_tokens = true;
    run.save_trace = folder_.file(name);
    run_alone(run, progress_, [](RunReport& report) {
      EXPECT_FALSE(report.error) << report.error->what;
      return 0;
    });
  }
  EXPECT_EQ(compare("", 0.99999999).status, Status::inconclusive);
  const Report known = compare(model, 0.99999999);
  EXPECT_EQ(known.status, Status::agree);
  ASSERT_TRUE(known.summary && known.summary->median_noise);
  // Both arithmetics of native against each other are the noise itself.
  EXPECT_NEAR(*known.summary->max_noise_ratio, 1, 0.6);
}

}  // namespace
}  // namespace crossval
