#include "run/self.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/error.h"
#include "compare/tap_prints.h"
#include "run/drive.h"
#include "run/engine_report.h"
#include "run/kept_logits.h"
#include "run/name_weights.h"
#include "run/self_settings.h"
#include "run/tap_filter.h"
#include "verdict/self_explanation.h"
#include "verdict/trace_analysis.h"

namespace crossval {
namespace {

// Of ids that are evaluated one at a time, those whose tensors are looked at, spread over all: each
// takes a pass over all weights. Logits are compared at every one.
constexpr int kMaxShownPieces = 4;

// The run that the others are compared with: every tensor is recomputed, and a print of it kept.
class FirstRun : public Observer {
 public:
  FirstRun(TraceAnalysis& analysis, TapPrints& prints, KeptLogits& logits)
      : analysis_(analysis), prints_(prints), logits_(logits) {}

  void tap(Side, const PlacedTap& placed) override {
    analysis_.add(placed);
    if (const auto print = printer_.print(placed.tap, placed.n_tokens())) prints_.add(*print);
  }
  void rows(const RowBlock& block) override {
    for (int i = 0; i < block.n_rows(); ++i) {
      logits_.keep(block.first_position + i, block.row(Side::backend, i));
    }
  }

 private:
  TraceAnalysis& analysis_;
  TapPrints& prints_;
  KeptLogits& logits_;
  TapPrinter printer_;
};

// A later run, against the first.
class LaterRun : public Observer {
 public:
  LaterRun(const SelfSetting& setting, TraceAnalysis& analysis, const TapPrints& prints,
           KeptLogits& logits)
      : same_graph_(setting.same_graph),
        likeness_{.same_graph = setting.same_graph, .same_pieces = setting.same_pieces},
        analysis_(analysis),
        prints_(prints),
        logits_(logits) {}

  void tap(Side, const PlacedTap& placed) override {
    if (const auto print = printer_.print(placed.tap, placed.n_tokens())) {
      note(prints_.match(*print, likeness_), placed.tap);
    }
    // Up to there it is the first run, which has been judged.
    if (first_.order >= 0 || !same_graph_) {
      analysis_.add(placed);
    } else {
      analysis_.pass_over(placed);
    }
  }
  void rows(const RowBlock& block) override {
    for (int i = 0; i < block.n_rows(); ++i) {
      logits_.compare(block.first_position + i, block.row(Side::backend, i), distance_);
    }
  }

  const FirstDifferent& first() const { return first_; }
  const LogitsDistance& distance() const { return distance_; }

 private:
  void note(const TapPrints::Match& match, const Tap& tap) {
    if (match.first_different < 0) return;
    if (first_.order >= 0 && first_.order <= match.order) return;
    first_ = {match.order, tap.name, tap.op, tap.occurrence, tap.layer, match.first_different};
  }

  bool same_graph_;
  TapPrints::Likeness likeness_;
  TraceAnalysis& analysis_;
  const TapPrints& prints_;
  KeptLogits& logits_;
  TapPrinter printer_;
  FirstDifferent first_;
  LogitsDistance distance_;
};

class SelfTrace {
 public:
  SelfTrace(const PerTokenOptions& options, const TapFilter& filter, Pair& pair, Progress& progress,
            TraceReport& report)
      : options_(options),
        filter_(filter),
        pair_(pair),
        progress_(progress),
        report_(report),
        pool_(std::make_shared<ThreadPool>(options.common.threads())),
        ids_(*report.base.tokens.backend),
        n_prompt_(static_cast<int>(ids_.size())) {}

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
    return std::make_unique<TraceAnalysis>(pair_.model_file(), pair_.backend_file(), pool_);
  }

  // `ids_` under whatever `steps` says beside them.
  std::vector<TokenId> evaluate(Engine& engine, Look look, Steps steps, Observer& observer,
                                Progress& progress) const {
    steps.prompt.assign(ids_.begin(), ids_.begin() + n_prompt_);
    steps.decode_ids.assign(ids_.begin() + n_prompt_, ids_.end());
    steps.n_decode = options_.model.max_tokens;
    steps.filter = filter_;
    const Participant backend{Side::backend, engine, look};
    Observer* const observers[] = {&observer};
    return drive({&backend, 1}, steps, observers, progress);
  }

  void run_first() {
    Engine& engine = *pair_.backend();
    has_taps_ = engine.can().taps;
    engine.reset(n_prompt_ + options_.model.max_tokens);
    logits_.emplace(engine.info().n_vocab);
    const auto analysis = make_analysis();
    FirstRun first(*analysis, prints_, *logits_);
    ids_ = evaluate(engine, Look::tensors, {}, first, progress_);
    analysis->finish(part_of(filter_, engine), report_);
    for (const TapReport& tap : report_.taps) {
      if (tap.verdict == TapVerdict::diverged) failed_.insert(name_of(tap));
    }
    Report& base = report_.base;
    base.backend->info = engine.info();
    base.backend->log = engine.warnings();
    base.engine = describe_engine(engine, "");
    base.timing.backend = engine.timing();
  }

  std::unique_ptr<Engine> open(const SelfSetting& setting) {
    ModelOptions model = options_.model;
    model.backend_opts.insert(model.backend_opts.end(), setting.opts.begin(), setting.opts.end());
    CommonOptions common = options_.common;
    common.n_threads =
        setting.n_threads > 0 ? setting.n_threads : report_.base.backend->info.n_threads;
    LoadedModel loaded(pair_.model_file(), model, common, progress_);
    const std::string& path =
        options_.backend_model.empty() ? options_.model.model : options_.backend_model;
    auto engine = loaded.open(pair_.backend_ref(), path);
    if (engine->can().taps) name_weights(*engine, *pair_.model_file());
    return engine;
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
    LaterRun later(setting, *analysis, prints_, *logits_);
    Steps steps;
    steps.n_at_a_time = setting.one_at_a_time ? 1 : 0;
    const int n_ids = static_cast<int>(ids_.size());
    const int stride = (n_ids + kMaxShownPieces - 1) / kMaxShownPieces;
    steps.shows_tensors = [=](int first, int n) {
      return first % stride == 0 || first + n == n_ids;
    };
    NoProgress silent;  // the setting is what there is to tell
    evaluate(engine, setting.show_tensors ? Look::tensors : Look::no, std::move(steps), later,
             silent);
    TraceReport found;
    analysis->finish(TracePart::asked_for, found);
    judge(setting, later.distance(), later.first(), found, row);
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
    } else if (distance.n_non_finite > 0) {
      row.verdict = SelfVerdict::diverged;
      row.note = fmt::format("NaN or Inf in the logits of {} of {} positions, which is no rounding",
                             distance.n_non_finite, distance.n_positions);
      if (!other_fault_) other_fault_ = explain_non_finite(row);
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
  int n_prompt_;
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
