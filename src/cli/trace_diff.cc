// crossval trace-diff: the captured tensors of two saved traces, one by one. That nothing could be
// compared is an error, never agreement.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "cli/commands.h"
#include "compare/pair_taps.h"
#include "engine/trace_taps.h"
#include "render/text.h"
#include "render/visible.h"

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

// What f32 sums in another order leave between two whole runs: correct engines of one model whose
// activations are not rounded stay below (1.2e-7 between ubatch sizes on lifted SmolLM2; below 1e-5
// on BitNet until a rounding flips).
constexpr double max_rounding = 1e-5;

constexpr const char* fix_no_taps = "save it again: crossval run --save-trace FILE --taps '.*' ...";

struct Diff {
  Status status = Status::bad_input;
  std::string engine, backend;
  PairedTaps taps;
  std::optional<size_t> first;  // index of the first pair that differs
  int n_diverged = 0;
  std::optional<ErrorReport> error;
};

bool differs(const TapPair& pair) {
  const bool finite = pair.n_non_finite_engine + pair.n_non_finite_backend == 0;
  return !pair.same_shape || (finite ? pair.rel_l2 > max_rounding : pair.n_different > 0);
}

std::vector<SavedTap> taps_of(const TraceFile& trace) {
  std::vector<SavedTap> taps = saved_taps(trace);
  if (taps.empty()) {
    bad_input("no_taps", "the trace holds no captured tensors", trace.path(), fix_no_taps);
  }
  return taps;
}

void diff(const CompareOptions& options, Diff& out) {
  const auto a = TraceFile::open(options.a), b = TraceFile::open(options.b);
  out.engine = a->metadata(trace_key::engine);
  out.backend = b->metadata(trace_key::engine);
  const std::vector<SavedTap> a_taps = taps_of(*a), b_taps = taps_of(*b);
  if (a->tokens() != b->tokens()) {
    out.status = Status::token_mismatch;
    return;
  }
  // Turn by turn, so that few wait for their partners; all of them fit, as the files did.
  TapPairing pairing(
      {.lockstep = false, .max_pending_bytes = std::numeric_limits<int64_t>::max() / 2});
  for (size_t i = 0; i < std::max(a_taps.size(), b_taps.size()); ++i) {
    if (i < a_taps.size()) pairing.add(Side::engine, a_taps[i].load(), a_taps[i].n_tokens());
    if (i < b_taps.size()) pairing.add(Side::backend, b_taps[i].load(), b_taps[i].n_tokens());
  }
  out.taps = pairing.finish();
  if (out.taps.pairs.empty()) {
    bad_input("nothing_compared", "the traces have no tensor in common", options.b,
              "save both with the same --taps");
  }
  for (size_t i = 0; i < out.taps.pairs.size(); ++i) {
    if (!differs(out.taps.pairs[i])) continue;
    if (!out.first) out.first = i;
    ++out.n_diverged;
  }
  out.status = out.first ? Status::diverged : Status::agree;
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

Json pair_json(const TapPair& pair) {
  return {{"tensor", pair.name},
          {"occurrence", pair.occurrence},
          {"op", pair.op},
          {"layer", pair.layer < 0 ? Json(nullptr) : Json(pair.layer)},
          {"rel_l2", pair.same_shape ? number(pair.rel_l2) : Json(nullptr)},
          {"max_abs", number(pair.max_abs)},
          {"position", pair.worst_position < 0 ? Json(nullptr) : Json(pair.worst_position)},
          {"non_finite",
           {{"engine", pair.n_non_finite_engine}, {"backend", pair.n_non_finite_backend}}},
          {"same_shape", pair.same_shape},
          {"own_error", nullptr},
          {"floor", nullptr},
          {"verdict", differs(pair) ? "diverged" : "ok"}};
}

std::string diff_json(const Diff& d) {
  Json out = {{"schema", "crossval/trace/1"},
              {"status", status_name(d.status)},
              {"exit_code", static_cast<int>(d.status)},
              {"engine", {{"name", d.engine}}},
              {"backend", {{"name", d.backend}}},
              {"n_taps", d.taps.pairs.size()},
              {"first_divergence", d.first ? pair_json(d.taps.pairs[*d.first]) : Json(nullptr)},
              {"taps", Json::array()},
              {"unpaired", Json::array()},
              {"error", nullptr}};
  for (const TapPair& pair : d.taps.pairs) out["taps"].push_back(pair_json(pair));
  for (const UnpairedTap& tap : d.taps.unpaired) {
    out["unpaired"].push_back({{"tensor", tap.name},
                               {"occurrence", tap.occurrence},
                               {"side", tap.side == Side::engine ? "engine" : "backend"}});
  }
  if (d.error) {
    out["error"] = {{"code", d.error->code},
                    {"what", d.error->what},
                    {"where", d.error->where},
                    {"fix", d.error->fix}};
  }
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string diff_text(const Diff& d) {
  if (d.status == Status::token_mismatch) {
    return "token_mismatch: the traces were saved for different ids; no tensor was compared\n";
  }
  std::string out =
      fmt::format("{} tensors of {} and {} compared, {} beyond {:.0e}\n", d.taps.pairs.size(),
                  visible(d.engine), visible(d.backend), d.n_diverged, max_rounding);
  const auto line = [](const TapPair& pair) {
    const std::string distance = !pair.same_shape
                                     ? "other shape"
                                     : fmt::format(
                                           "rel_l2 {:.3g}, max_abs {:.3g}, worst at position "
                                           "{}",
                                           pair.rel_l2, pair.max_abs, pair.worst_position);
    return fmt::format("{} {}: {}", visible(pair.name), visible(pair.op), distance);
  };
  if (!d.taps.unpaired.empty()) {
    out += fmt::format("{} tensors are in one trace only and were not compared\n",
                       d.taps.unpaired.size());
  }
  if (d.first) return out + "diverged: first at " + line(d.taps.pairs[*d.first]) + "\n";
  const auto worst = std::ranges::max_element(d.taps.pairs, {}, &TapPair::rel_l2);
  return out + "agree: farthest apart is " + line(*worst) + "\n";
}

}  // namespace

int run_trace_diff(const CompareOptions& options) {
  Diff result;
  try {
    diff(options, result);
  } catch (const Error& error) {
    result.status = error.status;
    result.error = ErrorReport{error.code, error.what_, error.where, error.fix};
  }
  const bool json = options.common.format == OutputFormat::json;
  if (json) std::cout << diff_json(result);
  if (result.error) {
    std::cerr << error_text(*result.error, result.status, {});
  } else if (!json) {
    std::cout << diff_text(result);
  }
  return static_cast<int>(result.status);
}

}  // namespace crossval
