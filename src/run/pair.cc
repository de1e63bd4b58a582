#include "run/pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "engine/trace_set.h"
#include "run/engine_report.h"
#include "run/observers.h"
#include "run/saved_noise.h"
#include "run/tipped_choices.h"
#include "run/token_gate.h"
#include "verdict/judge.h"

namespace crossval {

int Pair::n_decode() const {
  return options_.ladder == Ladder::decode ? options_.model.max_tokens : 0;
}

int Pair::smallest_vocabulary() const {
  int n_vocab = model_->tokenizer().n_vocab();
  for (const Engine* side : {engine_.engine.get(), backend_.engine.get()}) {
    if (side != nullptr && side->info().n_vocab > 0)
      n_vocab = std::min(n_vocab, side->info().n_vocab);
  }
  return n_vocab;
}

bool Pair::has_partial_rows() const {
  return std::ranges::any_of(
      std::array{engine_.engine.get(), backend_.engine.get()},
      [](const Engine* side) { return side != nullptr && side->can().rows == LogitRows::top; });
}

void Pair::dump_ids(const EngineRef& ref, const std::vector<TokenId>& ids, Report& report) {
  TokenDump dump{ref.display_name(), {}};
  for (TokenId id : ids) dump.tokens.push_back({id, model_->tokenizer().piece(id)});
  report.dumps.push_back(std::move(dump));
}

void Pair::check_tokens(const PromptInput& input, Report& report) {
  for (OpenedSide* side : {&engine_, &backend_}) {
    side->before = side->engine ? side->engine->timing() : EngineTiming{};
  }
  tokenize_ms_ = 0;
  const PreparedPrompt prompt = model_->prepare(input, options_.prompt, report.prompt);
  // What is built in tokenises with the model's own vocabulary, whether it was made or not.
  const auto tokeniser = [](const OpenedSide& side) {
    return Tokeniser{side.ref, side.ref.is_builtin() ? nullptr : side.engine.get()};
  };
  gate_tokens(*model_, backend_file_.get(), prompt, tokeniser(engine_), tokeniser(backend_),
              tokenize_ms_, progress_, report.tokens);
  if (options_.dump_ids) dump_ids(engine_.ref, *report.tokens.engine, report);
  if (options_.dump_backend_ids) dump_ids(backend_.ref, *report.tokens.backend, report);
  report.status = *report.tokens.match ? Status::agree : Status::token_mismatch;
  if (*report.tokens.match) {
    check_prompt_ids(*report.tokens.engine, smallest_vocabulary(), *model_file_, n_decode());
  }
  report.model.sha256 = sha256_.get();
  fill_engines(report);
}

void Pair::compare(const PromptInput& input, Report& report, const Watch* watch) {
  try {
    reopen_gone(report);
    check_tokens(input, report);
    if (report.status == Status::agree && options_.ladder != Ladder::tokens) {
      if (watch != nullptr && !engine_can_run()) {
        evaluate_backend_alone(*watch, report);
      } else {
        compare_logits(input, report, watch);
        // A trace looks for the tensor first.
        if (watch == nullptr) hold_files_apart(report);
      }
      fill_engines(report);
    }
  } catch (...) {
    show_logs();
    throw;
  }
  show_stages(report);
}

Steps Pair::steps_for(const std::vector<TokenId>& ids) const {
  Steps steps;
  steps.prompt = ids;
  steps.n_decode = n_decode();
  steps.at_once =
      2 * options_.common.threads() <= static_cast<int>(std::thread::hardware_concurrency());
  if (shared_ != nullptr && shared_->evaluated.size() > ids.size() &&
      std::equal(ids.begin(), ids.end(), shared_->evaluated.begin())) {
    steps.decode_ids.assign(shared_->evaluated.begin() + std::ssize(ids), shared_->evaluated.end());
  }
  return steps;
}

// Each side once; native's are made when the other's context exists.
void Pair::reset_sides(int n_positions) {
  const auto reset = [&](const std::shared_ptr<Engine>& engine) {
    if (engine) engine->reset(n_positions);
  };
  if (!backend_.ref.is_builtin()) reset(backend_.engine);
  if (!engine_.ref.is_builtin()) reset(engine_.engine);
  open_native_sides();
  if (backend_.ref.is_builtin()) reset(backend_.engine);
  if (engine_.ref.is_builtin()) reset(engine_.engine);
  reset(noise_);
  reset(noise_base_);
}

std::vector<Participant> Pair::participants(const Watch* watch) const {
  const Look look = watch != nullptr ? Look::tensors : Look::no;
  std::vector<Participant> sides = {{Side::backend, *backend_.engine, look},
                                    {Side::engine, *engine_.engine, look}};
  // Engines that show other logits than the model has rows are not measured by the model's noise.
  const bool backend_is_whole = backend_.engine->can().rows == LogitRows::full;
  const Engine& whole = backend_is_whole ? *backend_.engine : *engine_.engine;
  const int n_vocab =
      whole.can().rows == LogitRows::full ? whole.info().n_vocab : model_->tokenizer().n_vocab();
  if (noise_ && noise_->info().n_vocab != n_vocab) return sides;
  if (noise_) sides.push_back({Side::noise, *noise_});
  if (noise_base_) sides.push_back({Side::noise_base, *noise_base_});
  return sides;
}

// Every operation can be checked without an engine of our own for the whole model.
void Pair::evaluate_backend_alone(const Watch& watch, Report& report) {
  const std::vector<TokenId>& ids = *report.tokens.backend;
  Steps steps = steps_for(ids);
  steps.first_row = static_cast<int>(ids.size()) + steps.n_decode;  // none is looked at
  steps.filter = watch.filter;
  backend_.engine->reset(static_cast<int>(ids.size()) + steps.n_decode);
  const Participant backend{Side::backend, *backend_.engine, Look::tensors};
  drive({&backend, 1}, steps, watch.observers, progress_);
}

void Pair::compare_logits(const PromptInput& input, Report& report, const Watch* watch) {
  const std::vector<TokenId>& ids = *report.tokens.engine;
  const int n_prompt = static_cast<int>(ids.size());
  const int n_positions = n_prompt + n_decode();
  reset_sides(n_positions);
  const EngineInfo& engine_info = engine_.engine->info();
  const EngineInfo& backend_info = backend_.engine->info();
  const bool are_known = engine_info.n_vocab > 0 && backend_info.n_vocab > 0;
  if (are_known && engine_info.n_vocab != backend_info.n_vocab) {
    bad_input("other_vocabulary",
              fmt::format("the engine's model has {} logits a position, the backend's {}",
                          engine_info.n_vocab, backend_info.n_vocab),
              options_.backend_model.empty() ? options_.model.model : options_.backend_model,
              "compare models with the same vocabulary");
  }
  const int first_compared = options_.ladder == Ladder::first_logit ? n_prompt - 1
                             : options_.last_positions > 0
                                 ? std::max(0, n_positions - options_.last_positions)
                                 : 0;
  RowComparison rows(report.metrics,
                     {.n_prompt = n_prompt,
                      .first_compared = first_compared,
                      .piece = [this](TokenId id) { return model_->tokenizer().piece(id); }},
                     model_->pool());
  FarRows far(rows.comparison(), report.tolerance.cos_tol);
  std::vector<Observer*> observers = {&rows, &far};
  Steps steps = steps_for(ids);
  steps.first_row = first_compared;
  std::optional<Recorder> engine_file, backend_file;
  if (!options_.save_trace_dir.empty()) {
    const auto start = [&](std::optional<Recorder>& file, Side side, const EngineInfo& info,
                           const char* name, int max_captures) {
      file.emplace(
          side, saved_path(options_.save_trace_dir + "/" + name, input.number),
          trace_metadata(info, sha256_.get(), report.prompt.formatted.value_or(""), n_prompt),
          info.n_vocab, max_captures);
      observers.push_back(&*file);
    };
    if (has_partial_rows()) {
      bad_input("no_whole_rows",
                "one side gives its likeliest tokens alone, and a saved run holds "
                "whole rows of logits",
                "--save-trace",
                "leave it out, or save a run of the other engine with `crossval run`");
    }
    std::error_code failed;
    std::filesystem::create_directories(options_.save_trace_dir, failed);
    start(engine_file, Side::engine, engine_info, "engine.safetensors", 1);
    start(backend_file, Side::backend, backend_info, "backend.safetensors", 0);
    steps.first_row = 0;
  }
  if (watch != nullptr) {
    steps.filter = watch->filter;
    observers.insert(observers.end(), watch->observers.begin(), watch->observers.end());
  }
  const double noise_before = noise_ ? noise_->timing().eval_ms : 0;
  const std::vector<TokenId> evaluated = drive(participants(watch), steps, observers, progress_);
  if (shared_ != nullptr && shared_->evaluated.empty()) shared_->evaluated = evaluated;
  report.timing.compare_ms = rows.elapsed_ms();
  if (noise_) report.timing.noise_ms = noise_->timing().eval_ms - noise_before;
  set_judgement(report,
                judge_with_choices(rows.comparison(), far, report.tolerance, noise_scale_, &*model_,
                                   evaluated, noise_runs(), progress_, report.remarks));
  if (!non_finite_weight_.empty()) report.status = Status::diverged;
  if (engine_file) {
    engine_file->write([&](TraceWriter& file) { save_noise(rows.comparison(), file); });
    engine_file->finish();
    backend_file->finish();
  }
}

// --verbose: the time of every stage, and the engines' own last log lines.
void Pair::show_stages(const Report& report) {
  const auto side = [&](const char* role, const std::optional<EngineTiming>& t) {
    if (!t) return;
    progress_.verbose(fmt::format(
        "{}: start {:.0f} ms, load {:.0f} ms, tokenise {:.1f} ms, prompt "
        "{:.0f} ms, decode {:.0f} ms",
        role, t->start_ms, t->load_ms, t->tokenize_ms, t->prompt_eval_ms, t->decode_ms));
  };
  side("engine", report.timing.engine);
  side("backend", report.timing.backend);
  progress_.verbose(fmt::format("noise {:.0f} ms, compare {:.0f} ms",
                                report.timing.noise_ms.value_or(0),
                                report.timing.compare_ms.value_or(0)));
  show_logs();
}

void Pair::show_logs() {
  for (const OpenedSide* side : {&engine_, &backend_}) {
    if (side->engine) show_log(*side->engine, progress_);
  }
}

}  // namespace crossval
