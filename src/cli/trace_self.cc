#include "cli/trace_self.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "cli/engine_report.h"
#include "cli/flags.h"
#include "cli/lockstep.h"
#include "cli/logits_distance.h"
#include "cli/self_explanation.h"
#include "cli/self_settings.h"
#include "cli/session.h"
#include "compare/tap_prints.h"
#include "verdict/trace_analysis.h"

namespace crossval {
namespace {

// Of ids that are evaluated one at a time, those whose tensors are looked at, spread over all: each
// takes a pass over all weights. Logits are compared at every one.
constexpr size_t max_shown_pieces = 4;

class SelfTrace {
 public:
  SelfTrace(const PerTokenOptions& options, const TapFilter& filter, Pair& pair, Progress& progress,
            TraceReport& report)
      : options_(options),
        filter_(filter),
        pair_(pair),
        progress_(progress),
        report_(report),
        pool_(std::make_shared<ThreadPool>(resolve_threads(options.common))),
        ids_(*report.base.tokens.backend),
        n_prompt_(ids_.size()) {}

  void run() {
    run_first();
    EngineReport& backend = *report_.base.backend;
    const auto settings = self_settings(backend.info, static_cast<int>(ids_.size()), has_taps_);
    report_.self.emplace();
    for (const SelfSetting& setting : settings) {
      // Settings of a process of their own need the memory.
      if (!setting.same_worker) pair_.close_backend();
      progress_.stage(fmt::format("{} of {}: {}, {}", report_.self->size() + 1, settings.size(),
                                  setting.name, setting.changed));
      report_.self->push_back(run_setting(setting));
    }
    progress_.stage("");
    if (nondeterminism_) report_.first_divergence = std::move(nondeterminism_);
    if (!report_.first_divergence) report_.first_divergence = std::move(other_fault_);
    report_.base.status = report_.first_divergence ? Status::diverged : Status::agree;
  }

 private:
  std::unique_ptr<TraceAnalysis> make_analysis() const {
    return std::make_unique<TraceAnalysis>(pair_.model(), pair_.backend_model(), pool_);
  }

  // The run that the others are compared with: every tensor is recomputed.
  void run_first() {
    Engine& engine = *pair_.backend();
    has_taps_ = engine.has_taps();
    const auto analysis = make_analysis();
    TapPrinter printer;
    const TapSink sink = [&](Tap&& tap) {
      analysis->add(tap);
      if (const auto print = printer.print(tap, analysis->n_tokens())) prints_.add(*print);
    };
    const int n_decode = options_.model.max_tokens;
    progress_.stage(fmt::format("evaluating {} ids, tensor by tensor", ids_.size()));
    engine.reset(static_cast<int>(n_prompt_) + n_decode);
    logits_.emplace(engine.info().n_vocab);
    for (size_t done = 0; done < n_prompt_ + static_cast<size_t>(n_decode);) {
      if (done > 0) ids_.push_back(logits_->greedy_choice());
      const auto piece = std::span(std::as_const(ids_)).subspan(done);
      evaluate(engine, piece, has_taps_ ? &sink : nullptr, *analysis);
      logits_->keep(engine, static_cast<int>(done), static_cast<int>(piece.size()));
      done += piece.size();
    }
    const bool complete = filter_.name_regex.text().empty() && filter_.first_layer < 0;
    analysis->finish(has_taps_ && complete, report_);
    for (const TapReport& tap : report_.taps) {
      if (tap.verdict == TapVerdict::diverged) failed_.insert(name_of(tap));
    }
    Report& base = report_.base;
    base.backend->info = engine.info();
    base.backend->log = engine.warnings();
    base.engine = describe_engine(engine, "");
    base.timing.backend = engine.timing();
  }

  void evaluate(Engine& engine, std::span<const TokenId> ids, const TapSink* sink,
                TraceAnalysis& analysis) const {
    analysis.begin_eval(ids);
    if (sink != nullptr) {
      engine.eval_with_taps(ids, filter_, *sink);
    } else {
      engine.eval(ids);
    }
  }

  std::unique_ptr<Engine> open(const SelfSetting& setting) {
    ModelOptions model = options_.model;
    model.backend_opts.insert(model.backend_opts.end(), setting.opts.begin(), setting.opts.end());
    CommonOptions common = options_.common;
    common.n_threads =
        setting.n_threads > 0 ? setting.n_threads : report_.base.backend->info.n_threads;
    Session session(pair_.model(), model, common, progress_);
    const std::string& path =
        options_.backend_model.empty() ? options_.model.model : options_.backend_model;
    return session.open(pair_.backend_name(), path);
  }

  SelfRow run_setting(const SelfSetting& setting) {
    SelfRow row;
    row.setting = setting.name;
    row.changed = setting.changed;
    row.must_be_equal = setting.must_be_equal;
    try {
      run_setting(setting, row);
    } catch (const Error& error) {
      if (!setting.may_refuse) throw;
      row = {.setting = row.setting, .changed = row.changed, .must_be_equal = false};
      row.note = error.what_;
    }
    return row;
  }

  void run_setting(const SelfSetting& setting, SelfRow& row) {
    std::unique_ptr<Engine> own;
    if (!setting.same_worker) own = open(setting);
    Engine& engine = own ? *own : *pair_.backend();
    engine.reset(static_cast<int>(ids_.size()));
    if (const std::string missing = not_in_force(setting, engine.info()); !missing.empty()) {
      row.note = missing;
      return;
    }
    const auto analysis = make_analysis();
    TapPrinter printer;
    FirstDifferent first;
    const TapPrints::Likeness likeness = {.same_graph = setting.same_graph,
                                          .same_pieces = setting.same_pieces};
    const TapSink sink = [&](Tap&& tap) {
      analysis->place(tap);
      if (const auto print = printer.print(tap, analysis->n_tokens())) {
        note(prints_.match(*print, likeness), tap, first);
      }
      // Up to there it is the first run, which has been judged.
      if (first.order >= 0 || !setting.same_graph) {
        analysis->judge(tap);
      } else {
        analysis->pass_over(tap);
      }
    };
    const bool taps = has_taps_ && setting.show_tensors;
    LogitsDistance distance;
    const size_t stride = (ids_.size() + max_shown_pieces - 1) / max_shown_pieces;
    for (size_t done = 0; done < ids_.size();) {
      const size_t n = setting.one_at_a_time || done >= n_prompt_ ? 1 : n_prompt_;
      const bool is_shown = done % stride == 0 || done + n == ids_.size();
      evaluate(engine, std::span(std::as_const(ids_)).subspan(done, n),
               taps && is_shown ? &sink : nullptr, *analysis);
      logits_->compare(engine, static_cast<int>(done), static_cast<int>(n), distance);
      done += n;
    }
    TraceReport found;
    analysis->finish(false, found);
    judge(setting, distance, first, found, row);
  }

  // An engine that ignores a setting which it has not got.
  static std::string not_in_force(const SelfSetting& setting, const EngineInfo& info) {
    for (const std::string& opt : setting.opts) {
      const auto found = info.settings.find(opt.substr(0, opt.find('=')));
      if (found != info.settings.end() && found->second == "unavailable") {
        return "this engine has no such setting";
      }
    }
    return "";
  }

  static void note(const TapPrints::Match& match, const Tap& tap, FirstDifferent& first) {
    if (match.first_different < 0) return;
    if (first.order >= 0 && first.order <= match.order) return;
    first = {match.order, tap.name, tap.op, tap.occurrence, tap.layer, match.first_different};
  }

  void judge(const SelfSetting& setting, const LogitsDistance& distance,
             const FirstDifferent& first, TraceReport& found, SelfRow& row) {
    row.bit_equal = distance.n_different == 0;
    row.n_positions = distance.n_positions;
    row.rel_l2 = distance.rel_l2;
    row.worst_position = distance.worst_position;
    row.min_cosine = distance.min_cosine;
    row.n_top1_changes = distance.n_top1_changes;
    if (first.order >= 0) {
      row.first_tensor = first.name;
      row.op = first.op;
      row.occurrence = first.occurrence;
      row.first_position = first.position;
    }
    row.n_recomputed = found.n_replayed;
    if (found.n_replayed > 0) row.largest_ratio = found.largest_clean_ratio;
    const TapReport* failed = nullptr;  // the first that the first run computed right
    for (const TapReport& tap : found.taps) {
      if (tap.verdict != TapVerdict::diverged || failed_.contains(name_of(tap))) continue;
      if (failed == nullptr) failed = &tap;
      ++row.n_failed;
    }
    const bool changed = !*row.bit_equal || first.order >= 0;
    if (setting.must_be_equal && changed) {
      row.verdict = SelfVerdict::diverged;
      if (!nondeterminism_) nondeterminism_ = explain_change(row, first, found, failed_);
    } else if (failed != nullptr) {
      row.verdict = SelfVerdict::diverged;
      row.note = failed->own_error.value_or(0) > 0
                     ? fmt::format("{} ({}) is off by {:.2e} from what its own inputs call for",
                                   failed->tensor, failed->op, *failed->own_error)
                     : fmt::format("{} ({})", failed->tensor, failed->op);
      if (!other_fault_) other_fault_ = explain_fault(row, *failed, found);
    } else if (changed && !failed_.empty() && found.n_diverged == 0) {
      row.verdict = SelfVerdict::diverged;
      row.note = "what is wrong in the first run is right here";
    } else {
      row.verdict = changed ? SelfVerdict::rounding : SelfVerdict::equal;
      if (changed && row.n_recomputed == 0) row.note = "no tensor could be recomputed";
    }
  }

  const PerTokenOptions& options_;
  const TapFilter& filter_;
  Pair& pair_;
  Progress& progress_;
  TraceReport& report_;
  std::shared_ptr<ThreadPool> pool_;
  std::vector<TokenId> ids_;  // of the prompt, then what the first run chose
  size_t n_prompt_;
  bool has_taps_ = false;
  TapPrints prints_;
  std::optional<KeptLogits> logits_;
  std::set<TapName> failed_;  // in the first run
  std::optional<TraceDivergence> nondeterminism_, other_fault_;
};

}  // namespace

void trace_self(const PerTokenOptions& options, const TapFilter& filter, Pair& pair,
                Progress& progress, TraceReport& report) {
  SelfTrace(options, filter, pair, progress, report).run();
}

}  // namespace crossval
