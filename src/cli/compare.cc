// crossval compare: two saved traces, judged as per-token judges a run. The noise comes from the
// engine's trace when per-token saved it there; without it only the cosine counts.
#include <algorithm>
#include <chrono>
#include <optional>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/engine_report.h"
#include "cli/lockstep.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"
#include "cli/trace_noise.h"
#include "compare/tokens.h"
#include "engine/trace_engine.h"
#include "verdict/judge.h"

namespace crossval {
namespace {

void compare_traces(const CompareOptions& options, Progress& progress, Report& report) {
  report.tolerance = make_tolerance(options.gate, options.cos_tol);
  report.metrics = metric_set(options.metrics);
  TraceEngine a(options.a), b(options.b);
  report.engine = describe_engine(a, "");
  report.backend = describe_engine(b, "flag");
  report.model.path = a.file().metadata(trace_key::model);
  report.model.sha256 = a.file().metadata(trace_key::model_sha256);
  report.model.n_vocab = a.info().n_vocab;
  if (a.info().n_vocab != b.info().n_vocab) {
    bad_input("other_vocabulary", "the traces have rows of different length", options.b,
              "compare traces of models with the same vocabulary");
  }
  report.tokens.engine = a.file().tokens();
  report.tokens.backend = b.file().tokens();
  const auto no_piece = [](TokenId) { return std::string(); };
  report.tokens.first_mismatch =
      compare_tokens({a.file().tokens(), no_piece}, {b.file().tokens(), no_piece}, {});
  report.tokens.match = !report.tokens.first_mismatch;
  if (report.tokens.first_mismatch) {
    report.status = Status::token_mismatch;
    return;
  }
  const int n = static_cast<int>(a.file().n_positions());
  LockstepPlan plan;
  plan.prompt = a.file().tokens();
  plan.n_prompt = a.n_prompt();
  plan.piece = no_piece;
  if (options.last_positions > 0) plan.first_compared = std::max(0, n - options.last_positions);
  ThreadPool pool(1);
  Comparison comparison(report.metrics);
  double compare_ms = 0;
  run_lockstep({.engine = a, .backend = b}, plan, comparison, pool, progress, compare_ms);
  comparison.set_rounding(load_noise(a.file()));
  report.timing.compare_ms = compare_ms;
  set_judgement(report, judge(comparison, report.tolerance, {}));
}

}  // namespace

int run_compare(const CompareOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  TerminalProgress progress(options.common);
  Output output(options.common, options.receipt);
  Report report;
  try {
    compare_traces(options, progress, report);
  } catch (const Error& error) {
    set_error(report, error);
  }
  progress.stage("");
  report.timing.total_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  return output.emit(report);
}

}  // namespace crossval
