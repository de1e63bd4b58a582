// Every pair is an ordinary Pair. Each worker is started once and evaluates once a pair; native is
// loaded and run in each pair, because its cache rounds as that pair's backend does. All pairs are
// fed the ids that the first pair's backend decoded.
#include "run/parity.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>

#include "backends/engine_ref.h"
#include "base/error.h"
#include "run/pair.h"
#include "verdict/vote.h"

namespace crossval {
namespace {

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> names;
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    names.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return names;
}

bool names_checkpoint(const PerTokenOptions& options) {
  return kind_of_model(options.backend_model) == ModelKind::checkpoint;
}

bool reads_checkpoints(const std::string& name) {
  try {
    return find_engine(name, "--backend").recipe->reads(ModelKind::checkpoint);
  } catch (const Error&) {
    return false;  // its pair says what is wrong with it
  }
}

// The engine and the backends, in the order in which pairs are made of them.
std::vector<std::string> read_participants(const PerTokenOptions& options) {
  std::vector<std::string> names = {options.engine};
  const std::vector<std::string> backends =
      options.backend == "all" ? ready_engines() : split(options.backend);
  if (backends.empty()) {
    backend_failed("no_backend_ready", "no backend is ready", "--backend all",
                   "see `crossval backends` for what to set up");
  }
  for (const std::string& name : backends) {
    if (name.empty() || name == "all" || name == "auto") {
      bad_input("bad_backend_list", fmt::format("'{}' cannot stand in a list of backends", name),
                "--backend " + options.backend, "name each backend: --backend bitnet,llama");
    }
    if (std::find(names.begin(), names.end(), name) != names.end()) {
      if (options.backend == "all") continue;  // it is the engine
      bad_input("same_backend_twice", fmt::format("'{}' is named twice", name),
                "--backend " + options.backend, "name each engine once (--engine is one of them)");
    }
    names.push_back(name);
  }
  if (names.size() < 2) {
    backend_failed("no_backend_ready", "no other backend than the engine is ready", "--backend all",
                   "see `crossval backends` for what to set up");
  }
  // A checkpoint is of the one that reads it; the others have the file.
  const bool is_for_one =
      names_checkpoint(options) && std::ranges::any_of(names, reads_checkpoints);
  if (!options.backend_model.empty() && !is_for_one) {
    bad_input("backend_model_of_several", "several backends cannot all be the other file's",
              "--backend-model", "compare one backend at a time, or leave out --backend-model");
  }
  return names;
}

// One pair, opened once for all prompts, or the reason it could not be.
struct OpenedPair {
  PerTokenOptions options;
  size_t a = 0, b = 0;  // indices of the participants
  Report opening;       // what every prompt's report begins with
  std::unique_ptr<Pair> pair;

  Report compare(const PromptInput& prompt, Progress& progress) {
    const Stopwatch watch;
    Report report = opening;
    if (pair) {
      try {
        pair->compare(prompt, report);
      } catch (const Error& error) {
        set_error(report, error);
      }
      progress.stage("");
      report.timing.total_ms += watch.elapsed_ms();
    }
    return report;
  }
};

PerTokenOptions pair_options(const PerTokenOptions& options, const std::string& a,
                             const std::string& b, size_t index) {
  PerTokenOptions pair = options;
  pair.engine = a;
  pair.backend = b;
  pair.receipt.clear();
  if (names_checkpoint(options) && !reads_checkpoints(b)) pair.backend_model.clear();
  if (!options.save_trace_dir.empty()) {
    pair.save_trace_dir = fmt::format("{}/pair-{}", options.save_trace_dir, index + 1);
  }
  pair.dump_ids = options.dump_ids && index == 0;  // the engine's ids once
  pair.dump_backend_ids = options.dump_backend_ids && a == options.engine;
  return pair;
}

// A name that stands for nothing is shown as it is: its pair says what is wrong with it.
std::string display_name_of(const std::string& name) {
  try {
    return find_engine(name, "--backend").display_name();
  } catch (const Error&) {
    return name;
  }
}

// What the engines call themselves, told apart by version, else as the user named them.
std::vector<std::string> labels(const std::vector<std::string>& names,
                                const std::vector<OpenedPair>& pairs) {
  std::vector<EngineInfo> infos(names.size());
  for (const OpenedPair& pair : pairs) {
    if (pair.opening.engine) infos[pair.a] = pair.opening.engine->info;
    if (pair.opening.backend) infos[pair.b] = pair.opening.backend->info;
  }
  std::vector<std::string> plain, versioned;
  for (size_t i = 0; i < names.size(); ++i) {
    plain.push_back(infos[i].name.empty() ? display_name_of(names[i]) : infos[i].name);
    versioned.push_back(plain[i] + (infos[i].version.empty() ? "" : " " + infos[i].version));
  }
  std::vector<std::string> out;
  for (size_t i = 0; i < names.size(); ++i) {
    const auto unique = [&](const std::vector<std::string>& all) {
      return std::count(all.begin(), all.end(), all[i]) == 1;
    };
    out.push_back(unique(plain) ? plain[i] : unique(versioned) ? versioned[i] : names[i]);
  }
  return out;
}

std::vector<OpenedPair> open_pairs(const PerTokenOptions& options, const Report& opening,
                                   const std::vector<std::string>& names, PairsShare& share,
                                   Progress& progress) {
  std::vector<OpenedPair> pairs;
  pairs.reserve(names.size() * (names.size() - 1) / 2);  // a Pair refers to its options
  for (size_t a = 0; a < names.size(); ++a) {
    for (size_t b = a + 1; b < names.size(); ++b) {
      const Stopwatch watch;
      OpenedPair& pair = pairs.emplace_back();
      pair.options = pair_options(options, names[a], names[b], pairs.size() - 1);
      pair.a = a;
      pair.b = b;
      pair.opening = opening;
      try {
        pair.pair = std::make_unique<Pair>(pair.options, progress, pair.opening, &share);
      } catch (const Error& error) {
        set_error(pair.opening, error);
      }
      progress.stage("");
      pair.opening.timing.total_ms = watch.elapsed_ms();
    }
  }
  return pairs;
}

}  // namespace

bool names_several_backends(const std::string& backend) {
  if (backend == "all") return true;
  if (backend.find(',') == std::string::npos) return false;
  if (!backend.starts_with("worker:") && !backend.starts_with("trace:")) return true;
  std::error_code ignored;
  return !std::filesystem::exists(backend.substr(backend.find(':') + 1), ignored);
}

int compare_all_pairs(const PerTokenOptions& options, Progress& progress,
                      const Emit<ParityReport>& emit) {
  std::vector<std::string> names;
  std::vector<OpenedPair> pairs;
  PairsShare share;
  const PromptLoop<ParityReport> loop = {
      .open =
          [&](ParityReport& opening) {
            Report first;
            first.tolerance = make_tolerance(options.gate, options.cos_tol);
            first.metrics = metric_set(options.metrics);
            names = read_participants(options);
            pairs = open_pairs(options, first, names, share, progress);
            opening.participants = labels(names, pairs);
          },
      .run =
          [&](const PromptInput& prompt, ParityReport& report) {
            share.evaluated.clear();
            std::vector<PairOutcome> outcomes;
            for (OpenedPair& pair : pairs) {
              report.pairs.push_back(pair.compare(prompt, progress));
              outcomes.push_back({pair.a, pair.b, report.pairs.back().status});
            }
            report.vote = vote(report.participants, outcomes);
          }};
  return run_prompts(options.prompt, loop, progress, emit);
}

}  // namespace crossval
