#include "run/saved.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/stopwatch.h"
#include "compare/tokens.h"
#include "engine/trace_engine.h"
#include "run/engine_report.h"
#include "run/observers.h"
#include "run/saved_noise.h"
#include "verdict/judge.h"

namespace crossval {
namespace {

// A vocabulary padded to a round number: what both have is compared, and that is said.
void compare_fewer(TraceEngine& a, TraceEngine& b, Report& report) {
  const int n = std::min(a.info().n_vocab, b.info().n_vocab);
  report.remarks.push_back(fmt::format(
      "note: rows of {} and of {} logits: one vocabulary is padded, or another; only the first {} "
      "are compared",
      a.info().n_vocab, b.info().n_vocab, n));
  report.model.n_vocab = n;
  a.narrow(n);
  b.narrow(n);
}

void compare(const CompareOptions& options, Progress& progress, Report& report) {
  report.tolerance = make_tolerance(options.gate, options.cos_tol);
  report.metrics = metric_set(options.metrics);
  TraceEngine a(options.a), b(options.b);
  report.engine = describe_engine(a, "");
  report.backend = describe_engine(b, "flag");
  report.model.path = a.file().metadata(trace_key::kModel);
  report.model.sha256 = a.file().metadata(trace_key::kModelSha256);
  report.model.n_vocab = a.info().n_vocab;
  if (a.info().n_vocab != b.info().n_vocab) compare_fewer(a, b, report);
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
  Steps steps;
  steps.prompt = a.file().tokens();
  steps.first_row = options.last_positions > 0 ? std::max(0, n - options.last_positions) : 0;
  const auto first_saved = static_cast<int>(std::max(a.file().first_row(), b.file().first_row()));
  if (first_saved > steps.first_row) {
    steps.first_row = first_saved;
    report.remarks.emplace_back("note: one file has logits of the last position alone");
  }
  ThreadPool pool(1);
  RowComparison rows(
      report.metrics,
      {.n_prompt = a.n_prompt(), .first_compared = steps.first_row, .piece = no_piece}, pool);
  a.reset(n);
  b.reset(n);
  const Participant sides[] = {{Side::engine, a}, {Side::backend, b}};
  Observer* const observers[] = {&rows};
  drive(sides, steps, observers, progress);
  rows.comparison().set_rounding(load_noise(a.file()));
  report.timing.compare_ms = rows.elapsed_ms();
  set_judgement(report, judge(rows.comparison(), report.tolerance, {}));
}

}  // namespace

Report compare_saved(const CompareOptions& options, Progress& progress) {
  const Stopwatch watch;
  Report report;
  try {
    compare(options, progress, report);
  } catch (const Error& error) {
    set_error(report, error);
  }
  progress.stage("");
  report.timing.total_ms = watch.elapsed_ms();
  return report;
}

}  // namespace crossval
