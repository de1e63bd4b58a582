// Two saved runs: decoding that parted, noise from the model, and what cannot be known without it.
#include "run/saved.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "arch/archs.h"
#include "engine/trace_file.h"
#include "native/native_engine.h"
#include "run/single.h"
#include "support/arch_model.h"
#include "support/model_edit.h"
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

// Runs that round otherwise take another expert here and there: no fault of either.
class SavedMixtures : public SavedRuns {
 protected:
  static constexpr int kIds = 48;

  void SetUp() override {
    testing::write_arch_model(folder_.file("f32"), *find_arch("qwen3moe"));
    testing::ModelEdit edit(folder_.file("f32"));
    // So that it matters whom a token asks.
    for (const char* layer : {"blk.0.", "blk.1."}) {
      edit.scale(layer + std::string("ffn_down_exps.weight"), 8);
    }
    edit.convert_matrices(GgmlType::Q8_0);
    edit.write(folder_.file("m"));
    auto rounded = std::make_shared<RoutingLog>(), exact = std::make_shared<RoutingLog>();
    save_native("b", {.numerics = Numerics::exact, .routing_log = exact});
    save_native("a", {.numerics = Numerics::ggml, .routing_log = rounded});
    const auto narrow = narrow_choices(*rounded, *exact);
    ASSERT_FALSE(narrow.empty());
    tips_->emplace(narrow.front().position, narrow.front().layer);
  }

  // At one position another one's row may stand.
  void save_native(const char* name, const NativeOptions& options, int spoilt = -1) {
    NativeEngine native(ModelFile::open(folder_.file("m")), nullptr, options,
                        std::make_shared<ThreadPool>(1));
    std::vector<TokenId> ids(kIds);
    for (int i = 0; i < kIds; ++i) {
      ids[static_cast<size_t>(i)] = (7 * i + 3) % native.info().n_vocab;
    }
    native.reset(kIds);
    native.eval(ids);
    TraceWriter file(folder_.file(name), {{trace_key::kNPrompt, std::to_string(kIds)}},
                     native.info().n_vocab);
    std::vector<float> row(static_cast<size_t>(native.info().n_vocab));
    for (int i = 0; i < kIds; ++i) {
      native.read_logits(i == spoilt ? (i + 5) % kIds : i, 1, row);
      file.write_row(ids[static_cast<size_t>(i)], row);
    }
    file.finish();
  }

  std::shared_ptr<RoutingTips> tips_ = std::make_shared<RoutingTips>();
};

TEST_F(SavedMixtures, a_choice_that_rounding_tips_is_no_divergence) {
  save_native("b", {.numerics = Numerics::exact, .routing_tips = tips_});
  EXPECT_NE(compare().status, Status::agree);
  const Report report = compare(folder_.file("m"));
  EXPECT_EQ(report.status, Status::agree);
  EXPECT_TRUE(says(report, "choice of experts"));
}

TEST_F(SavedMixtures, what_no_choice_explains_stays) {
  const int narrow = tips_->begin()->first;
  save_native("b", {.numerics = Numerics::exact}, narrow);
  const Report report = compare(folder_.file("m"));
  EXPECT_EQ(report.status, Status::diverged);
  EXPECT_EQ(report.summary->first_divergence, narrow);
  EXPECT_FALSE(says(report, "choice of experts"));
}

}  // namespace
}  // namespace crossval
