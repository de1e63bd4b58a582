#include "run/saved.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"
#include "base/stopwatch.h"
#include "compare/tokens.h"
#include "engine/trace_engine.h"
#include "native/check_model.h"
#include "native/support.h"
#include "run/engine_report.h"
#include "run/loaded_model.h"
#include "run/observers.h"
#include "run/saved_noise.h"
#include "run/tipped_choices.h"
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

// Which model both ran, and how ids are spelled there; null without --model.
std::optional<LoadedModel> open_model(const CompareOptions& options, const TraceEngine& a,
                                      Progress& progress, Report& report) {
  std::optional<LoadedModel> model;
  if (options.model.model.empty()) return model;
  auto file = ModelFile::open(options.model.model, options.model.i2_s_layout);
  check_model(*file);
  model.emplace(std::move(file), options.model, options.common, progress);
  model->load_tokenizer();
  const std::string saved = a.file().metadata(trace_key::kModelSha256);
  report.model = model->report();
  report.model.sha256 = sha256_file(options.model.model);
  if (!saved.empty() && saved != report.model.sha256) {
    report.remarks.emplace_back("note: --model is another file than the one the traces are of");
  }
  return model;
}

// Ids that both decoded alike; what each chose for itself cannot be compared, only the rows that
// they chose from.
std::vector<TokenId> shared_ids(TraceEngine& a, TraceEngine& b, Report& report) {
  const auto& ours = a.file().tokens();
  const auto& theirs = b.file().tokens();
  const auto n = static_cast<size_t>(
      std::mismatch(ours.begin(), ours.end(), theirs.begin(), theirs.end()).first - ours.begin());
  const auto n_prompt = static_cast<size_t>(std::max(a.n_prompt(), b.n_prompt()));
  if (n >= n_prompt && (n < ours.size() || n < theirs.size())) {
    report.tokens.first_mismatch.reset();
    report.remarks.push_back(
        n < ours.size() && n < theirs.size()
            ? fmt::format("note: the sides decoded on by themselves and chose {} and {} after "
                          "position {}; later ones are not compared",
                          ours[n], theirs[n], n - 1)
            : fmt::format("note: one file ends after position {}; later ones are not compared",
                          n - 1));
  }
  return {ours.begin(), ours.begin() + static_cast<std::ptrdiff_t>(n)};
}

// What the engine's file has, else what the model shows.
NoiseScale add_noise(const CompareOptions& options, const TraceEngine& a, LoadedModel* model,
                     const Steps& steps, Progress& progress, Comparison& comparison,
                     Report& report) {
  comparison.set_rounding(load_noise(a.file()));
  if (model == nullptr || options.gate == "cosine") return {};
  if (const auto reason = native_unsupported_reason(model->file())) {
    report.remarks.push_back(
        "note: native does not run the model, so its rounding noise stays unknown: " + *reason);
    return {};
  }
  const MeasuredNoise noise = measure_noise(*model, steps.prompt, steps.first_row, progress);
  comparison.set_rounding(noise.rounding);
  return noise.scale;
}

void compare(const CompareOptions& options, Progress& progress, Report& report) {
  report.tolerance = make_tolerance(options.gate, options.cos_tol);
  report.metrics = metrics_for(metric_set(options.metrics), false);
  TraceEngine a(options.a), b(options.b);
  report.engine = describe_engine(a, "");
  report.backend = describe_engine(b, "flag");
  report.model.path = a.file().metadata(trace_key::kModel);
  report.model.sha256 = a.file().metadata(trace_key::kModelSha256);
  std::optional<LoadedModel> model = open_model(options, a, progress, report);
  const auto piece = [&](TokenId id) { return model ? model->tokenizer().piece(id) : ""; };
  report.model.n_vocab = a.info().n_vocab;
  if (a.info().n_vocab != b.info().n_vocab) compare_fewer(a, b, report);
  report.tokens.engine = a.file().tokens();
  report.tokens.backend = b.file().tokens();
  report.tokens.first_mismatch =
      compare_tokens({a.file().tokens(), piece}, {b.file().tokens(), piece}, {});
  Steps steps;
  steps.prompt = shared_ids(a, b, report);
  report.tokens.match = !report.tokens.first_mismatch;
  if (report.tokens.first_mismatch) {
    report.status = Status::token_mismatch;
    return;
  }
  const auto n = static_cast<int>(steps.prompt.size());
  steps.first_row = options.last_positions > 0 ? std::max(0, n - options.last_positions) : 0;
  const auto first_saved = static_cast<int>(std::max(a.file().first_row(), b.file().first_row()));
  if (first_saved > steps.first_row) {
    steps.first_row = first_saved;
    report.remarks.emplace_back("note: one file has logits of the last position alone");
  }
  ThreadPool pool(1);
  RowComparison rows(report.metrics,
                     {.n_prompt = a.n_prompt(), .first_compared = steps.first_row, .piece = piece},
                     pool);
  a.reset(n);
  b.reset(n);
  const Participant sides[] = {{Side::engine, a}, {Side::backend, b}};
  FarRows far(rows.comparison(), report.tolerance.cos_tol);
  Observer* const observers[] = {&rows, &far};
  drive(sides, steps, observers, progress);
  const NoiseScale scale =
      add_noise(options, a, model ? &*model : nullptr, steps, progress, rows.comparison(), report);
  report.timing.compare_ms = rows.elapsed_ms();
  set_judgement(report, judge_with_choices(rows.comparison(), far, report.tolerance, scale,
                                           model ? &*model : nullptr, steps.prompt, {}, progress,
                                           report.remarks));
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
