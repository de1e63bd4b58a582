#include "run/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/stopwatch.h"
#include "quant/lift.h"
#include "run/fault_share.h"
#include "run/name_weights.h"
#include "run/observers.h"
#include "run/pair.h"
#include "run/parity.h"
#include "run/self.h"
#include "run/tap_filter.h"
#include "run/trace_diff.h"
#include "verdict/graph_blame.h"
#include "verdict/trace_analysis.h"
#include "verdict/trace_routing.h"

namespace crossval {
namespace {

// Which experts each side chooses.
class RoutingWatch : public Observer {
 public:
  explicit RoutingWatch(int64_t n_used) : ties_(n_used) {}
  void tap(Side side, const PlacedTap& placed) override {
    ties_.add(side, placed.tap, placed.n_tokens());
  }
  std::vector<RoutingTie> ties() const { return ties_.finish(); }

 private:
  RoutingTies ties_;
};

// The files that both sides read: the user's, or copies dequantised to F32.
struct Files {
  std::optional<LiftedModel> model, backend_model;
};

void lift(PerTokenOptions& options, Files& files) {
  const auto replace = [](std::string& path, std::optional<LiftedModel>& lifted,
                          const std::string& i2_s_layout = "auto") {
    if (path.empty() || kind_of_model(path) == ModelKind::checkpoint) return;
    lifted.emplace(lift_model(*ModelFile::open(path, i2_s_layout)));
    path = lifted->path();
  };
  const bool same = options.backend_model == options.model.model;
  if (same) options.backend_model.clear();
  replace(options.model.model, files.model, options.model.i2_s_layout);
  options.model.i2_s_layout = "auto";  // nothing is I2_S any more
  replace(options.backend_model, files.backend_model);
}

// Whether the backend computes an eval as one graph, as native does: then neither has to keep more
// than a layer for the other.
bool evaluates_at_once(const ModelOptions& options) {
  return std::none_of(
      options.backend_opts.begin(), options.backend_opts.end(),
      [](const std::string& opt) { return opt.starts_with("ubatch=") && opt != "ubatch=0"; });
}

// The distance between the two whole runs, for every tap that is part of it.
void add_distances(const PairedTaps& paired, TraceReport& report) {
  for (const TapPair& pair : paired.pairs) {
    for (const int index : pair.backend_indices) {
      if (index < 0 || index >= std::ssize(report.taps)) continue;
      TapReport& tap = report.taps[static_cast<size_t>(index)];
      tap.distance = distance_of(pair);
      if (pair.same_shape) tap.rel_l2 = pair.rel_l2;
    }
  }
}

class Trace {
 public:
  Trace(const TraceOptions& options, Progress& progress)
      : options_(options), plan_(options.run), progress_(progress) {}

  void run(TraceReport& report) {
    if (names_several_backends(plan_.backend)) {
      bad_input("several_backends", "a trace looks at one backend", "--backend", "name one");
    }
    report.base.tolerance = make_tolerance(plan_.gate, plan_.cos_tol);
    report.base.metrics = metric_set(plan_.metrics);
    const TapFilter filter = tap_filter(options_.layers, options_.taps);
    const std::vector<PromptInput> prompts = read_prompts(plan_.prompt);
    if (prompts.size() != 1) {
      bad_input("several_prompts", "a trace looks at one prompt", "--prompts",
                "give one with --prompt, --prompt-file or --tokens");
    }
    if (options_.lift) {
      progress_.stage("writing a copy of the model in F32");
      lift(plan_, files_);
      report.lifted = true;
    }
    // An engine that stops at every tensor and has a thread for every core waits, spinning, for
    // threads that have not been woken yet: it leaves us one core, unless told otherwise.
    if (plan_.common.n_threads == 0 && !options_.self) {
      plan_.model.worker_threads = std::max(1, plan_.common.threads() - 1);
    }
    Pair pair(plan_, progress_, report.base);
    // Without tensors an engine can still be compared with itself, by its logits.
    if (pair.backend() == nullptr || (!options_.self && !pair.backend()->can().taps) ||
        pair.backend()->can().rows != LogitRows::full) {
      bad_input("no_taps", fmt::format("{} shows no tensors", plan_.backend), "--backend",
                "trace an engine that can (llama, bitnet, ik), or let your worker show tensors "
                "(docs/protocol.md); `per-token` compares logits alone");
    }
    if (pair.backend()->can().taps) name_weights(*pair.backend(), *pair.model_file());
    if (pair.engine() != nullptr && pair.engine()->can().taps && !options_.self) {
      name_weights(*pair.engine(), *pair.model_file());
    }
    if (options_.self) {
      pair.check_tokens(prompts.front(), report.base);
      if (report.base.status != Status::agree) return;
      trace_self(plan_, filter, pair, progress_, report);
    } else {
      trace_pair(filter, prompts.front(), pair, report);
    }
    const bool is_empty_handed = report.n_replayed == 0 && !report.base.summary && !options_.self &&
                                 report.base.tokens.match.value_or(false);
    if ((report.n_taps == 0 && !is_empty(filter)) ||
        (is_empty_handed && !report.first_divergence)) {
      bad_input("nothing_compared", "no tensor was looked at, which is not agreement",
                options_.taps.empty() ? "--layers " + options_.layers : "--taps " + options_.taps,
                "`crossval trace` without it tells the names of tensors in its JSON");
    }
  }

  // A copy that is gone says nothing to a reader: the report names what it was made from.
  void name_originals(Report& report) const {
    const std::string& model = options_.run.model.model;
    const std::string& backend_model = options_.run.backend_model;
    report.model.path = model;
    report.model.sha256.clear();  // of the copy
    if (report.engine) report.engine->info.model = model;
    if (report.backend) report.backend->info.model = backend_model.empty() ? model : backend_model;
  }

 private:
  void trace_pair(const TapFilter& filter, const PromptInput& prompt, Pair& pair,
                  TraceReport& report) {
    const auto analyse = [&](std::shared_ptr<const ModelFile> read) {
      return std::make_unique<TraceAnalysis>(pair.model_file(), std::move(read),
                                             std::make_shared<ThreadPool>(plan_.common.threads()));
    };
    const auto of_backend = analyse(pair.backend_file());
    if (kind_of_model(plan_.backend_model) == ModelKind::checkpoint) {
      of_backend->set_before_rounding();
    }
    TapJudge judge_backend(Side::backend, *of_backend);
    Watch watch{{&judge_backend}, filter};
    // Where the other side is an engine of its own, it may be the one that is wrong.
    std::unique_ptr<TraceAnalysis> of_engine;
    std::optional<TapJudge> judge_engine;
    GraphRecorder graphs;
    if (pair.engine() != nullptr && pair.engine()->can().taps) {
      of_engine = analyse(nullptr);
      watch.observers.push_back(&judge_engine.emplace(Side::engine, *of_engine));
      watch.observers.push_back(&graphs);
    }
    TapPairing pairing({.lockstep = evaluates_at_once(plan_.model)});
    TapPairs pairs(pairing);
    const bool engine_shows =
        pair.engine() == nullptr ? pair.engine_can_run() : of_engine != nullptr;
    const ModelFile& model = *pair.model_file();
    RoutingWatch routing(model.get_int(model.architecture() + ".expert_used_count").value_or(0));
    if (engine_shows) {
      watch.observers.push_back(&pairs);
      watch.observers.push_back(&routing);
    }
    try {
      pair.compare(prompt, report.base, &watch);
    } catch (const Error&) {
      of_backend->finish(TracePart::asked_for, report);  // what was seen before it stays
      throw;
    }
    const TracePart part = part_of(filter, *pair.backend());
    of_backend->finish(part, report);
    add_distances(pairing.finish(), report);
    if (of_engine) {
      const TracePart of_other = part_of(filter, *pair.engine());
      hold_engines_apart(std::max(part, of_other), of_other, graphs, *of_engine, report);
    }
    if (!report.base.non_finite_weight.empty()) blame_non_finite_weight(report);
    excuse_routing_ties(routing.ties(), report);
    const bool rounds = !report.rounded_types.empty() && !report.first_divergence;
    if (report.parts_by_rounding || rounds) report.base.status = Status::agree;
    if (report.base.status == Status::diverged && !report.first_divergence) blame_leap(report);
    if (report.first_divergence) report.base.status = Status::diverged;
    hold_files_apart(report.base);
    measure_fault_shares(pair.model_file(), pair.backend_file(), plan_.common.threads(), progress_,
                         report);
    if (report.base.status == Status::agree && report.coverage.is_incomplete() &&
        !options_.accepts_unchecked) {
      report.base.status = Status::inconclusive;
    }
  }

  // Where the other side is an engine of its own: its faults, and the place where the graphs part.
  static void hold_engines_apart(TracePart common, TracePart of_other, GraphRecorder& graphs,
                                 TraceAnalysis& of_engine, TraceReport& report) {
    TraceReport found;
    of_engine.finish(of_other, found);
    if (!report.first_divergence) {
      report.first_divergence = std::move(found.first_divergence);
      if (report.first_divergence) report.first_divergence->in_engine = true;
    }
    if (common != TracePart::whole_graph) return;
    std::vector<GraphNode> engine = graphs.take(Side::engine);
    std::vector<GraphNode> backend = graphs.take(Side::backend);
    mark_right(found.taps, engine);
    mark_right(report.taps, backend);
    blame_parting(engine, backend, report);
  }

  const TraceOptions& options_;
  PerTokenOptions plan_;
  Progress& progress_;
  Files files_;  // as long as the engines read them
};

}  // namespace

TraceReport trace(const TraceOptions& options, Progress& progress) {
  const Stopwatch watch;
  TraceReport report;
  Trace run(options, progress);
  try {
    run.run(report);
  } catch (const Error& error) {
    set_error(report.base, error);
  }
  progress.stage("");
  if (options.lift) run.name_originals(report.base);
  report.base.timing.total_ms = watch.elapsed_ms();
  return report;
}

}  // namespace crossval
