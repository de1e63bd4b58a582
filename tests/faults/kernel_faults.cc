// The right file, computed wrongly: one operation of the engine gives another result than it
// should, and everything behind it follows (tests/support/tools/faulty_worker.cc).
#include <array>
#include <utility>

#include "faults/fault.h"

namespace crossval::testing {
namespace {

bool always(const ModelInfo&, const ModelEdit&) { return true; }
bool is_dense(const ModelInfo& info, const ModelEdit&) { return info.is_dense; }
bool has_swiglu(const ModelInfo& info, const ModelEdit&) {
  return info.is_dense && !info.arch.starts_with("gemma");
}

// `tensor` without its layer, which is drawn.
Expectation break_kernel(const FaultSite& site, const std::string& tensor, const std::string& op,
                         const char* kind, std::vector<std::string> causes) {
  const std::string name = tensor + "-" + std::to_string(site.random.below(site.info.n_layers));
  return {.tensors = {name + " " + op},
          .causes = std::move(causes),
          .kernel_fault = name + " " + op + " " + kind};
}

}  // namespace

std::span<const Fault> kernel_faults() {
  constexpr Group group = Group::kernel;
  static const Fault table[] = {
      {"matmul_not_written", group, true, is_dense,
       [](const FaultSite& site) {
         return break_kernel(site, "ffn_up", "MUL_MAT", "garbage", {"not_written", "kernel"});
       }},
      {"matmul_zero", group, false, is_dense,
       [](const FaultSite& site) {
         return break_kernel(site, "ffn_gate", "MUL_MAT", "zero", {"not_written", "kernel"});
       }},
      // From outside the engine, a wrong column and a wrong row of the weight look the same.
      {"matmul_column", group, true, always,
       [](const FaultSite& site) {
         return break_kernel(site, "Vcur", "MUL_MAT", "column",
                             {"kernel", "damaged_row", "damaged_block", "weights"});
       }},
      {"matmul_last_row", group, false, is_dense,
       [](const FaultSite& site) {
         return break_kernel(site, "ffn_gate", "MUL_MAT", "last_row", {"kernel"});
       }},
      {"rope_lane", group, true, always,
       [](const FaultSite& site) {
         return break_kernel(site, "Qcur", "ROPE", "lane", {"kernel"});
       }},
      {"softmax_last_row", group, true, always,
       [](const FaultSite& site) {
         return break_kernel(site, "kq_soft_max", "SOFT_MAX", "last_row", {"kernel"});
       }},
      {"swiglu_lane", group, false, has_swiglu,
       [](const FaultSite& site) {
         return break_kernel(site, site.info.arch == "bitnet" ? "ffn_sub_out" : "ffn_swiglu",
                             "SWIGLU", "lane", {"kernel"});
       }},
      {"norm_last_row", group, false, always,
       [](const FaultSite& site) {
         return break_kernel(site, "norm", "RMS_NORM", "last_row", {"kernel"});
       }},
      {"residual_nan", group, true, always,
       [](const FaultSite& site) {
         return break_kernel(site, "l_out", "ADD", "nan", {"nan_born"});
       }},
  };
  return table;
}

}  // namespace crossval::testing
