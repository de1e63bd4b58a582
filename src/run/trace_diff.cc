#include "run/trace_diff.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/stopwatch.h"
#include "compare/tokens.h"
#include "engine/trace_engine.h"
#include "engine/trace_taps.h"
#include "run/engine_report.h"

namespace crossval {
namespace {

constexpr const char* kFixNoTaps = "save it again: crossval run --save-trace FILE --taps '.*' ...";

bool differs(const TapPair& pair) {
  const bool finite = pair.n_non_finite_engine + pair.n_non_finite_backend == 0;
  return !pair.same_shape || (finite ? pair.rel_l2 > kMaxSavedRounding : pair.n_different > 0);
}

std::vector<SavedTap> taps_of(const TraceFile& trace) {
  std::vector<SavedTap> taps = saved_taps(trace);
  if (taps.empty()) {
    bad_input("no_taps", "the trace holds no captured tensors", trace.path(), kFixNoTaps);
  }
  return taps;
}

// A file from elsewhere need not say which operations its tensors come from: they are those of the
// other file's tensors of the same name.
void take_operations(std::vector<SavedTap>& own, const std::vector<SavedTap>& other) {
  std::map<std::pair<std::string, int>, std::string> ops;
  for (const SavedTap& tap : other) ops[{tap.name, tap.occurrence}] = tap.op;
  for (SavedTap& tap : own) {
    const auto found = ops.find({tap.name, tap.occurrence});
    if (tap.op.empty() && found != ops.end()) tap.op = found->second;
  }
}

TapReport report_of(const TapPair& pair) {
  TapReport tap;
  tap.tensor = pair.name;
  tap.op = pair.op;
  tap.occurrence = pair.occurrence;
  tap.layer = pair.layer;
  tap.distance = distance_of(pair);
  if (pair.same_shape) tap.rel_l2 = pair.rel_l2;
  tap.verdict = differs(pair) ? TapVerdict::diverged : TapVerdict::ok;
  return tap;
}

// Turn by turn, so that few wait for their partners; all of them fit, as the files did.
PairedTaps pair_up(const std::vector<SavedTap>& a, const std::vector<SavedTap>& b) {
  TapPairing pairing(
      {.lockstep = false, .max_pending_bytes = std::numeric_limits<int64_t>::max() / 2});
  for (size_t i = 0; i < std::max(a.size(), b.size()); ++i) {
    if (i < a.size()) pairing.add(Side::engine, a[i].load(), a[i].n_rows);
    if (i < b.size()) pairing.add(Side::backend, b[i].load(), b[i].n_rows);
  }
  return pairing.finish();
}

void diff(const CompareOptions& options, TraceReport& report) {
  Report& base = report.base;
  TraceEngine a(options.a), b(options.b);
  base.engine = describe_engine(a, "");
  base.backend = describe_engine(b, "flag");
  base.model.path = a.file().metadata(trace_key::kModel);
  base.model.sha256 = a.file().metadata(trace_key::kModelSha256);
  std::vector<SavedTap> a_taps = taps_of(a.file()), b_taps = taps_of(b.file());
  take_operations(a_taps, b_taps);
  take_operations(b_taps, a_taps);
  base.tokens.engine = a.file().tokens();
  base.tokens.backend = b.file().tokens();
  const auto no_piece = [](TokenId) { return std::string(); };
  base.tokens.first_mismatch =
      compare_tokens({a.file().tokens(), no_piece}, {b.file().tokens(), no_piece}, {});
  base.tokens.match = !base.tokens.first_mismatch;
  if (base.tokens.first_mismatch) {
    base.status = Status::token_mismatch;
    return;
  }
  const PairedTaps found = pair_up(a_taps, b_taps);
  if (found.pairs.empty()) {
    bad_input("nothing_compared", "the traces have no tensor in common", options.b,
              "save both with the same --taps");
  }
  for (const TapPair& pair : found.pairs) {
    report.taps.push_back(report_of(pair));
    if (!differs(pair)) continue;
    ++report.n_diverged;
    if (report.first_divergence) continue;
    report.first_divergence = TraceDivergence{
        .tap = report.taps.back(),
        .position = pair.worst_position,
        .explanation = "here the two runs part; `crossval trace` recomputes tensors and says why"};
  }
  for (const UnpairedTap& tap : found.unpaired) {
    report.unpaired.push_back(
        {tap.name, tap.occurrence, tap.side == Side::engine ? "engine" : "backend"});
  }
  report.n_taps = static_cast<int>(report.taps.size());
  base.status = report.first_divergence ? Status::diverged : Status::agree;
}

}  // namespace

TapDistance distance_of(const TapPair& pair) {
  return {.max_abs = pair.max_abs,
          .worst_position = pair.worst_position,
          .n_non_finite_engine = pair.n_non_finite_engine,
          .n_non_finite_backend = pair.n_non_finite_backend,
          .same_shape = pair.same_shape};
}

TraceReport trace_diff(const CompareOptions& options) {
  const Stopwatch watch;
  TraceReport report;
  report.of_saved_runs = true;
  try {
    diff(options, report);
  } catch (const Error& error) {
    set_error(report.base, error);
  }
  report.base.timing.total_ms = watch.elapsed_ms();
  return report;
}

}  // namespace crossval
