// What a trace says that it covers, and which faults belong together.
#include <gtest/gtest.h>

#include "verdict/trace_analysis.h"

namespace crossval {
namespace {

TapReport tap(const std::string& name, const std::string& op, int layer = -1,
              const std::string& weight = "", const std::string& type = "") {
  TapReport out;
  out.tensor = name;
  out.op = op;
  out.layer = layer;
  out.weight = weight;
  out.weight_type = type;
  out.own_error = 1e-8;
  return out;
}

TEST(Coverage, counts_by_type_and_names_what_is_missing) {
  TraceReport report;
  report.taps = {tap("embd", "GET_ROWS", -1, "token_embd.weight", "Q8_0"),
                 tap("q", "MUL_MAT", 0, "blk.0.attn_q.weight", "Q8_0"),
                 tap("k", "MUL_MAT", 0, "blk.0.attn_k.weight", "MXFP4"), tap("v", "VIEW", 0),
                 tap("s", "ADD", 0)};
  report.taps[2].own_error.reset();
  report.taps[3].own_error.reset();
  report.taps[3].is_view = true;
  const Coverage coverage = coverage_of(report);
  EXPECT_EQ(coverage.n, 4);
  EXPECT_EQ(coverage.n_recomputed, 3);
  EXPECT_EQ(coverage.n_unchecked_products, 1);
  EXPECT_EQ(coverage.missing, std::vector<std::string>{"MUL_MAT with MXFP4"});
  ASSERT_EQ(coverage.by_weight_type.size(), 2U);
  EXPECT_EQ(coverage.by_weight_type[0].n_recomputed, 2);
}

TEST(Faults, one_hyperparameter_is_one_fault_two_weights_are_two) {
  std::vector<TraceFault> faults;
  add_fault(tap("norm-0", "RMS_NORM", 0), Cause::rms_eps, "eps", faults);
  add_fault(tap("ffn_norm-1", "RMS_NORM", 1), Cause::rms_eps, "eps", faults);
  add_fault(tap("Vcur-3", "MUL_MAT", 3, "blk.3.attn_v.weight", "Q4_1"), Cause::scaled, "v", faults);
  add_fault(tap("ffn_out-3", "MUL_MAT", 3, "blk.3.ffn_down.weight", "Q6_K"), Cause::scaled, "d",
            faults);
  add_fault(tap("Vcur-5", "MUL_MAT", 5, "blk.5.attn_v.weight", "Q4_1"), Cause::scaled, "v", faults);
  ASSERT_EQ(faults.size(), 3U);
  EXPECT_EQ(faults[0].layers, (std::vector<int>{0, 1}));
  EXPECT_EQ(faults[1].tensors, (std::vector<std::string>{"Vcur-3", "Vcur-5"}));
  EXPECT_EQ(faults[2].weight_types, std::vector<std::string>{"Q6_K"});
}

}  // namespace
}  // namespace crossval
