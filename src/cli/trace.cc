// crossval trace: preflight and token gate as per-token, then every tensor of the backend's graph
// recomputed from its own inputs; beside it, how far the two whole runs are apart at each tensor.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <regex>
#include <tuple>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "cli/pair.h"
#include "cli/parity.h"
#include "cli/terminal_progress.h"
#include "cli/prompt_source.h"
#include "cli/trace_self.h"
#include "compare/pair_taps.h"
#include "quant/lift.h"
#include "verdict/trace_analysis.h"

namespace crossval {
namespace {

TapFilter make_filter(const TraceOptions& options) {
  TapFilter filter;
  filter.name_regex = options.taps;
  if (options.layers.empty()) return filter;
  std::smatch match;
  static const std::regex form(R"((\d{1,6})(?:-(\d{1,6}))?)");
  if (!std::regex_match(options.layers, match, form)) {
    bad_input("bad_layers", fmt::format("'{}' is not a range of layers", options.layers),
              "--layers", "write --layers 3-7, or --layers 3");
  }
  filter.first_layer = std::stoi(match[1]);
  filter.last_layer = match[2].matched ? std::stoi(match[2]) : filter.first_layer;
  if (filter.last_layer < filter.first_layer) {
    bad_input("bad_layers", fmt::format("'{}' ends before it begins", options.layers), "--layers",
              "write the smaller number first");
  }
  return filter;
}

// The files that both sides read: the user's, or copies dequantised to F32.
struct Files {
  std::optional<LiftedModel> model, backend_model;
};

void lift(PerTokenOptions& options, Files& files) {
  const auto replace = [](std::string& path, std::optional<LiftedModel>& lifted,
                          const std::string& i2_s_layout = "auto") {
    if (path.empty()) return;
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

void add_distances(const PairedTaps& paired, TraceReport& report) {
  std::map<std::tuple<std::string, std::string, int>, double> distances;
  for (const TapPair& pair : paired.pairs) {
    if (pair.same_shape) distances[{pair.name, pair.op, pair.occurrence}] = pair.rel_l2;
  }
  for (TapReport& tap : report.taps) {
    const auto found = distances.find({tap.tensor, tap.op, tap.occurrence});
    if (found != distances.end()) tap.rel_l2 = found->second;
  }
}

class TraceCommand {
 public:
  explicit TraceCommand(const TraceOptions& options)
      : options_(options), run_(options.run), progress_(options.run.common) {}

  int execute() {
    const auto start = std::chrono::steady_clock::now();
    Output output(run_.common, run_.receipt);
    TraceReport report;
    try {
      if (names_several_backends(run_.backend)) {
        bad_input("several_backends", "a trace looks at one backend", "--backend", "name one");
      }
      report.base.tolerance = make_tolerance(run_.gate, run_.cos_tol);
      report.base.metrics = metric_set(run_.metrics);
      run(report);
    } catch (const Error& error) {
      set_error(report.base, error);
    }
    progress_.stage("");
    if (options_.lift) name_originals(report.base);
    report.base.timing.total_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return output.emit(report);
  }

 private:
  // A copy that is gone says nothing to a reader: the report names what it was made from.
  void name_originals(Report& report) const {
    const std::string& model = options_.run.model.model;
    const std::string& backend_model = options_.run.backend_model;
    report.model.path = model;
    report.model.sha256.clear();  // of the copy
    if (report.engine) report.engine->info.model = model;
    if (report.backend) report.backend->info.model = backend_model.empty() ? model : backend_model;
  }

  void run(TraceReport& report) {
    const TapFilter filter = make_filter(options_);
    const std::vector<PromptInput> prompts = read_prompts(run_.prompt);
    if (prompts.size() != 1) {
      bad_input("several_prompts", "a trace looks at one prompt", "--prompts",
                "give one with --prompt, --prompt-file or --tokens");
    }
    Files files;
    if (options_.lift) {
      progress_.stage("writing a copy of the model in F32");
      lift(run_, files);
      report.lifted = true;
    }
    if (options_.self) run_.ladder = Ladder::tokens;  // the other engine gives the ids alone
    // An engine that stops at every tensor and has a thread for every core waits, spinning, for
    // threads that have not been woken yet: it leaves us one core, unless told otherwise.
    if (run_.common.n_threads == 0 && !options_.self) {
      run_.model.worker_threads = std::max(1, resolve_threads(run_.common) - 1);
    }
    Pair pair(run_, progress_, report.base);
    // Without tensors an engine can still be compared with itself, by its logits.
    if (pair.backend() == nullptr || (!options_.self && !pair.backend()->has_taps())) {
      bad_input("no_taps", fmt::format("{} shows no tensors", run_.backend), "--backend",
                "trace an engine in a worker that can: llama, bitnet or ik");
    }
    if (options_.self) {
      pair.compare(prompts.front(), report.base);
      if (report.base.status == Status::agree) {
        trace_self(run_, filter, pair, progress_, report);
      }
      return;
    }
    TraceAnalysis analysis(pair.model(), pair.backend_model(),
                           std::make_shared<ThreadPool>(resolve_threads(run_.common)));
    // Where the other side is an engine of its own, it may be the one that is wrong.
    std::optional<TraceAnalysis> other;
    if (pair.engine() != nullptr && pair.engine()->has_taps()) {
      other.emplace(pair.model(), nullptr,
                    std::make_shared<ThreadPool>(resolve_threads(run_.common)));
    }
    TapPairing pairing({.lockstep = evaluates_at_once(run_.model)});
    int n_ids = 0;
    const TapHooks hooks = {
        .filter = filter,
        .begin_eval =
            [&](std::span<const TokenId> ids) {
              analysis.begin_eval(ids);
              if (other) other->begin_eval(ids);
              n_ids = static_cast<int>(ids.size());
              pairing.begin(TapSide::backend);
              if (pair.engine() != nullptr) pairing.begin(TapSide::engine);
            },
        .engine =
            [&](Tap&& tap) {
              if (other) other->add(tap);
              pairing.add(TapSide::engine, std::move(tap), other ? other->n_tokens() : n_ids);
            },
        .backend =
            [&](Tap&& tap) {
              analysis.add(tap);
              pairing.add(TapSide::backend, std::move(tap), analysis.n_tokens());
            },
        .ended = [&](bool backend) { pairing.done(backend ? TapSide::backend : TapSide::engine); },
        .abort = [&] { pairing.abort(); }};
    pair.set_taps(&hooks);
    try {
      pair.compare(prompts.front(), report.base);
    } catch (const Error&) {
      analysis.finish(false, report);  // what was seen before it stays
      throw;
    }
    const bool complete = options_.layers.empty() && options_.taps.empty();
    analysis.finish(complete, report);
    add_distances(pairing.finish(), report);
    if (other && !report.first_divergence) {
      TraceReport of_engine;
      other->finish(complete, of_engine);
      report.first_divergence = std::move(of_engine.first_divergence);
      if (report.first_divergence) report.first_divergence->in_engine = true;
    }
    if (report.base.status == Status::diverged && !report.first_divergence) blame_leap(report);
    if (report.first_divergence) report.base.status = Status::diverged;
  }

  const TraceOptions& options_;
  PerTokenOptions run_;
  TerminalProgress progress_;
};

}  // namespace

int run_trace(const TraceOptions& options) { return TraceCommand(options).execute(); }

}  // namespace crossval
