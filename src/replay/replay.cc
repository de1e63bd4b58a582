// Tries the admissible arithmetics of an operation until the engine's result fits one of them.
#include "replay/replay.h"

#include <algorithm>
#include <cmath>
#include <exception>
#include <utility>

#include "base/error.h"
#include "replay/judge.h"
#include "replay/ops.h"

namespace crossval {
namespace {

// Rounding of the result to its stored type comes on top of the operation's own errors.
void add_rounding_of(GgmlType type, Recomputed& recomputed) {
  if (type != GgmlType::F16 && type != GgmlType::BF16) return;
  const double unit = type == GgmlType::F16 ? kUnit16 : kUnitBf16;
  for (size_t i = 0; i < recomputed.sigma.size(); ++i) {
    // A third of the largest: 5 sigma of one element are more than one unit, 2 of many more than
    // the root mean square of uniform errors. Subnormal halves are multiples of 2^-24.
    recomputed.sigma[i] +=
        static_cast<float>(unit / 3 * std::max(double{std::fabs(recomputed.expected[i])}, 0x1p-14));
  }
}

bool tensor_is_empty(const TapTensor& tensor) {
  const auto& ne = tensor.ne;
  return std::ranges::all_of(ne, [](int64_t n) { return n >= 0; }) &&
         std::ranges::find(ne, 0) != ne.end();
}

Replayed failed(ReplayStatus status, std::string reason) {
  Replayed out;
  out.status = status;
  out.reason = std::move(reason);
  return out;
}

Replayed replay_checked(const Operation& operation, const TapTensor& out,
                        const WeightSource& weights, ThreadPool& pool) {
  const ReplayOp* op = find_replay_op(operation.op);
  if (op == nullptr) return failed(ReplayStatus::unknown_op, operation.op + " is not replayed");
  if (op->function == nullptr) return failed(ReplayStatus::view, "");
  // Of an empty result (a batch that starts no new sequence has no states to clear) there is
  // nothing to compute.
  if (tensor_is_empty(out)) return failed(ReplayStatus::view, "");
  if (out.data.empty()) return failed(ReplayStatus::missing_data, "the result was not captured");
  const TapValues of_out(out);
  const std::span<const float> values = of_out.get();
  if (values.empty()) {
    return failed(ReplayStatus::bad_shape, "the result's type or size makes no sense");
  }
  Inputs inputs(operation, out, weights, pool);
  Replayed best;
  for (int variant = 0;; ++variant) {
    Recomputed recomputed;
    if (!op->function(inputs, variant, recomputed)) break;
    require_shape(
        recomputed.expected.size() == values.size() && recomputed.sigma.size() == values.size(),
        "the result has another shape than its inputs give");
    add_rounding_of(out.type, recomputed);
    Replayed one;
    one.status = ReplayStatus::replayed;
    one.arithmetic = recomputed.arithmetic;
    judge({values, out.ne[0]}, recomputed, one);
    if (variant > 0 && one.ratio >= best.ratio) continue;
    one.expected = std::move(recomputed.expected);
    best = std::move(one);
    if (best.ratio <= 1) break;
  }
  return best;
}

}  // namespace

const char* status_name(ReplayStatus status) {
  switch (status) {
    case ReplayStatus::replayed:
      return "replayed";
    case ReplayStatus::view:
      return "view";
    case ReplayStatus::unknown_op:
      return "unknown op";
    case ReplayStatus::missing_weight:
      return "missing weight";
    case ReplayStatus::missing_data:
      return "missing data";
    case ReplayStatus::bad_shape:
      return "bad shape";
  }
  return "";
}

Replayed replay(const Operation& operation, const TapTensor& out, const WeightSource& weights,
                ThreadPool& pool) {
  try {
    return replay_checked(operation, out, weights, pool);
  } catch (const Unreplayable& refusal) {
    return failed(refusal.status, refusal.reason);
  } catch (const Error& error) {
    return failed(ReplayStatus::bad_shape, error.what_);
  } catch (const std::exception&) {  // bad_alloc, length_error
    return failed(ReplayStatus::bad_shape, "it does not fit into memory");
  }
}

}  // namespace crossval
