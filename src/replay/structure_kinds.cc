#include "replay/structure_kinds.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "replay/expect_parameter.h"

namespace crossval {
namespace {

struct KindsOfOp {
  std::string_view op;
  std::initializer_list<std::pair<OpKind, int>> kinds;
};

using K = OpKind;
// Those of which every part is one, whatever they read.
const KindsOfOp kTable[] = {
    {"RMS_NORM", {{K::norm, 1}}},
    {"NORM", {{K::norm, 1}}},
    {"FUSED_RMS_NORM", {{K::norm, 1}}},
    {"FUSED_NORM", {{K::norm, 1}}},
    {"L2_NORM", {{K::norm, 1}}},
    {"GROUP_NORM", {{K::norm, 1}}},
    {"ROPE", {{K::rope, 1}}},
    {"ROPE_BACK", {{K::rope, 1}}},
    {"SOFT_MAX", {{K::softmax, 1}}},
    {"FLASH_ATTN_EXT", {{K::softmax, 1}, {K::product, 2}}},
    {"SILU", {{K::activation, 1}}},
    {"GELU", {{K::activation, 1}}},
    {"GELU_ERF", {{K::activation, 1}}},
    {"GELU_QUICK", {{K::activation, 1}}},
    {"RELU", {{K::activation, 1}}},
    {"SWIGLU", {{K::activation, 1}, {K::times, 1}}},
    {"SWIGLU_OAI", {{K::activation, 1}, {K::times, 1}}},
    {"SWIGLU_CLAMP", {{K::activation, 1}, {K::times, 1}, {K::clamp, 2}}},
    {"GEGLU", {{K::activation, 1}, {K::times, 1}}},
    {"GEGLU_ERF", {{K::activation, 1}, {K::times, 1}}},
    {"GEGLU_QUICK", {{K::activation, 1}, {K::times, 1}}},
    {"REGLU", {{K::activation, 1}, {K::times, 1}}},
    {"FUSED_MUL_UNARY", {{K::activation, 1}, {K::times, 1}}},
    {"FUSED_UP_GATE", {{K::activation, 1}, {K::times, 1}}},
    {"MOE_FUSED_UP_GATE", {{K::activation, 1}, {K::times, 1}}},
    {"RELU_SQUARED", {{K::activation, 1}, {K::square, 1}}},
    {"SQR", {{K::square, 1}}},
    {"SIGMOID", {{K::sigmoid, 1}}},
    {"TANH", {{K::tanh, 1}}},
    {"SOFTPLUS", {{K::softplus, 1}}},
    {"EXP", {{K::exponential, 1}}},
    {"CLAMP", {{K::clamp, 1}}},
    {"SUM_ROWS", {{K::row_sum, 1}}},
    {"SSM_CONV", {{K::convolution, 1}}},
    {"SSM_SCAN", {{K::recurrence, 1}}},
    {"GATED_DELTA_NET", {{K::recurrence, 1}}},
    {"SUB", {{K::other, 1}}},
    {"NEG", {{K::other, 1}}},
    {"SQRT", {{K::other, 1}}},
    {"ABS", {{K::other, 1}}},
    {"LOG", {{K::other, 1}}},
    {"ELU", {{K::other, 1}}},
};

constexpr std::string_view kNames[] = {
    "norm",       "rotation (ROPE)",
    "softmax",    "product of results (MUL_MAT)",
    "sum (ADD)",  "product of elements (MUL)",
    "activation", "square (SQR)",
    "SIGMOID",    "TANH",
    "SOFTPLUS",   "EXP",
    "CLAMP",      "quotient (DIV)",
    "SUM_ROWS",   "convolution (SSM_CONV)",
    "recurrence", "operation of another kind",
};
static_assert(std::size(kNames) == kOpKinds);

// What is an operation of the structure only between results.
OpKind between_results(std::string_view op) {
  if (op == "MUL_MAT") return K::product;
  if (op == "ADD") return K::sum;
  if (op == "MUL") return K::times;
  if (op == "DIV") return K::quotient;
  return K::count;
}

}  // namespace

std::string_view kind_name(OpKind kind) { return kNames[static_cast<size_t>(kind)]; }

std::array<int, kOpKinds> kinds_of(const Operation& operation, int n_weights) {
  std::array<int, kOpKinds> kinds{};
  if (const OpKind kind = between_results(operation.op); kind != K::count) {
    kinds[static_cast<size_t>(kind)] = n_weights == 0 ? 1 : 0;
    return kinds;
  }
  if (operation.op == "MUL_MULTI_ADD") {  // of the experts' results by their weights
    const int64_t n_used = operation.sources.empty() ? 1 : operation.sources[0].ne[1];
    kinds[static_cast<size_t>(K::times)] = 1;
    kinds[static_cast<size_t>(K::sum)] = static_cast<int>(std::clamp<int64_t>(n_used - 1, 0, 1024));
    return kinds;
  }
  const auto* row = std::ranges::find(kTable, operation.op, &KindsOfOp::op);
  if (row == std::end(kTable)) return kinds;
  for (const auto& [kind, n] : row->kinds) kinds[static_cast<size_t>(kind)] += n;
  constexpr size_t kFlashSoftcap = 2;  // in op_params (ggml.c: ggml_flash_attn_ext)
  if (operation.op == "FLASH_ATTN_EXT" && as_float(operation.params[kFlashSoftcap]) != 0) {
    ++kinds[static_cast<size_t>(K::tanh)];
  }
  return kinds;
}

}  // namespace crossval
