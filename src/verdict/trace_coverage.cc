// What a trace covers, and how its faults are grouped.
#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "verdict/trace_analysis.h"

namespace crossval {
namespace {

bool is_product(const TapReport& tap) {
  return !tap.weight.empty() && (tap.op.starts_with("MUL_MAT") || tap.op == "OUT_PROD" ||
                                 tap.op == "FUSED_UP_GATE" || tap.op == "MOE_FUSED_UP_GATE");
}

// "ffn_down.weight" of "blk.7.ffn_down.weight".
std::string role_of(const std::string& weight) {
  if (!weight.starts_with("blk.")) return weight;
  const size_t dot = weight.find('.', 4);
  return dot == std::string::npos ? weight : weight.substr(dot + 1);
}

template <typename T>
void add_once(std::vector<T>& list, const T& value) {
  if (std::ranges::find(list, value) == list.end()) list.push_back(value);
}

}  // namespace

Coverage coverage_of(const TraceReport& report) {
  Coverage coverage;
  for (const TapReport& tap : report.taps) {
    if (tap.is_view) continue;
    const bool is_recomputed = tap.own_error.has_value();
    ++coverage.n;
    coverage.n_recomputed += is_recomputed;
    if (!is_product(tap) && tap.op != "GET_ROWS") continue;
    if (tap.weight_type.empty()) continue;
    auto place =
        std::ranges::find(coverage.by_weight_type, tap.weight_type, &Coverage::OfType::type);
    if (place == coverage.by_weight_type.end()) {
      place = coverage.by_weight_type.insert(place, {.type = tap.weight_type});
    }
    ++place->n;
    place->n_recomputed += is_recomputed;
    if (is_recomputed || !is_product(tap)) continue;
    ++coverage.n_unchecked_products;
    add_once(coverage.missing, tap.op + " with " + tap.weight_type);
  }
  return coverage;
}

void add_fault(const TapReport& tap, Cause cause, const std::string& explanation,
               std::vector<TraceFault>& faults, const std::string& what) {
  const std::string_view kind = cause_info(cause).kind;
  const bool by_role = kind == "weights" || kind == "graph";
  const std::string shared = !what.empty()  ? what
                             : by_role      ? role_of(tap.weight)
                             : kind == "op" ? tap.op
                                            : "";
  auto place = std::ranges::find_if(faults, [&](const TraceFault& fault) {
    return fault.cause == cause && fault.shared == shared;
  });
  if (place == faults.end()) {
    place = faults.insert(place, {.cause = cause, .explanation = explanation, .shared = shared});
  }
  add_once(place->tensors, tap.tensor);
  if (tap.layer >= 0) add_once(place->layers, tap.layer);
  std::ranges::sort(place->layers);
  if (!tap.weight.empty()) add_once(place->weights, tap.weight);
  if (!tap.weight_type.empty()) add_once(place->weight_types, tap.weight_type);
}

}  // namespace crossval
