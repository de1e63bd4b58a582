#include "cli/pair.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/sha256.h"
#include "cli/engine_report.h"
#include "cli/flags.h"
#include "cli/lockstep.h"
#include "cli/trace_noise.h"
#include "cli/vocab_difference.h"
#include "compare/tokens.h"
#include "engine/trace_file.h"
#include "native/support.h"
#include "verdict/judge.h"

namespace crossval {
namespace {

bool is_native(const std::string& name) { return name == "native"; }

}  // namespace

Pair::Pair(const PerTokenOptions& options, Progress& progress, Report& report, PairsShare* shared)
    : options_(options), progress_(progress), shared_(shared) {
  choose_sides();
  open_sides(report);
}

// Preflight comes before the model is opened; only `auto` has to look into it first.
void Pair::choose_sides() {
  if (options_.backend == "auto") {
    model_ = ModelFile::open(options_.model.model, options_.model.i2_s_layout);
    const BackendChoice choice = choose_backend(*model_);
    backend_name_ = choice.name;
    selected_by_ = choice.selected_by;
  } else {
    backend_name_ = options_.backend;
    selected_by_ = "flag";
  }
  progress_.verbose(fmt::format("Selected backend: {} ({})", backend_display_name(backend_name_),
                                selected_by_ == "flag" ? "from --backend" : "auto-detected"));
  for (const std::string& name : {backend_name_, options_.engine}) {
    if (!is_native(name) && !name.starts_with("trace:")) check_backend({name, selected_by_});
  }
}

void Pair::open_sides(Report& report) {
  const std::string& path = options_.model.model;
  const std::string& backend_path = options_.backend_model.empty() ? path : options_.backend_model;
  if (!model_) model_ = ModelFile::open(path, options_.model.i2_s_layout);
  session_.emplace(model_, options_.model, options_.common, progress_);
  report.model = session_->model_report();
  if (shared_ != nullptr) sha256_ = shared_->sha256;
  if (!sha256_.valid()) {
    sha256_ = std::async(std::launch::async, [path] { return sha256_file(path); }).share();
    if (shared_ != nullptr) shared_->sha256 = sha256_;
  }
  if (backend_path != path) backend_model_ = ModelFile::open(backend_path);
  const auto open = [&](const std::string& name, const std::string& model) {
    progress_.stage(fmt::format("loading the model with {}", backend_display_name(name)));
    if (shared_ == nullptr) return session_->open(name, model);
    return shared_->open(name, [&] { return session_->open(name, model); });
  };
  // The vocabulary is read while the workers start and load.
  auto vocabulary = std::async(std::launch::async, [this] { session_->load_tokenizer(); });
  if (!is_native(backend_name_)) backend_ = open(backend_name_, backend_path);
  if (!is_native(options_.engine)) engine_ = open(options_.engine, path);
  progress_.stage("");
  vocabulary.get();
  for (const std::string& warning : session_->tokenizer().warnings()) progress_.verbose(warning);
  non_finite_weight_ = session_->find_non_finite_weight(session_->model());
  if (non_finite_weight_.empty() && backend_model_) {
    non_finite_weight_ = session_->find_non_finite_weight(*backend_model_);
  }
  report.non_finite_weight = non_finite_weight_;
  fill_engines(report);
}

NativeOptions Pair::native_options(Numerics numerics, bool measures_noise) const {
  NativeOptions native;
  native.numerics = numerics;
  // The cache rounds as the other side's does.
  const Engine* other = backend_ ? backend_.get() : engine_.get();
  if (other == nullptr || !(is_native(options_.engine) || is_native(backend_name_))) return native;
  const auto& settings = other->info().settings;
  const auto type = [&](const char* key) {
    const auto found = settings.find(key);
    const KvType type = (found != settings.end() ? find_kv_type(found->second) : std::nullopt)
                            .value_or(KvType::f32);
    // Engines round to 8 bits each in their own way (llama.cpp rotates keys before): neither is
    // imitated, and what such a cache does to the model is part of the measured noise.
    return type == KvType::q8_0 && !measures_noise ? KvType::f32 : type;
  };
  native.k_type = type("kv_type_k");
  native.v_type = type("kv_type_v");
  return native;
}

// Made when the other side's context exists, because its cache types are only known then.
void Pair::open_native_sides() {
  const Numerics numerics =
      options_.model.numerics == NumericsChoice::exact ? Numerics::exact : Numerics::ggml;
  const Numerics other = numerics == Numerics::exact ? Numerics::ggml : Numerics::exact;
  if (is_native(options_.engine) && !engine_) {
    engine_ = session_->open_native(native_options(numerics));
  }
  if (is_native(backend_name_) && !backend_) {
    backend_ = session_->open_native(native_options(numerics), backend_model_);
  }
  if (rounding_) return;
  if (native_unsupported_reason(session_->model())) return;  // the noise stays unknown
  if (!is_native(options_.engine)) {
    rounding_base_ = session_->open_native(native_options(Numerics::ggml));
  }
  const NativeOptions noise =
      native_options(is_native(options_.engine) ? other : Numerics::exact, /*measures_noise=*/true);
  rounding_ = session_->open_native(noise);
}

int Pair::n_decode() const {
  return options_.ladder == Ladder::decode ? options_.model.max_tokens : 0;
}

int Pair::smallest_vocabulary() const {
  int n_vocab = session_->tokenizer().n_vocab();
  for (const Engine* side : {engine_.get(), backend_.get()}) {
    if (side != nullptr && side->info().n_vocab > 0)
      n_vocab = std::min(n_vocab, side->info().n_vocab);
  }
  return n_vocab;
}

void Pair::gate_tokens(const PreparedPrompt& prompt, Report& report) {
  TokensReport& tokens = report.tokens;
  if (prompt.ids) {
    tokens.engine = tokens.backend = *prompt.ids;
  } else {
    const auto side = [&](Engine* engine, const std::string& name) {
      return is_native(name) ? session_->tokenize(prompt, tokenize_ms_)
                             : engine->tokenize(prompt.formatted.text, prompt.options);
    };
    progress_.stage("tokenising");
    tokens.engine = side(engine_.get(), options_.engine);
    tokens.backend = side(backend_.get(), backend_name_);
  }
  const auto piece = [&](Engine* engine) {
    return [this, engine](TokenId id) {
      std::string text = engine ? engine->piece(id) : std::string();
      return text.empty() ? session_->tokenizer().piece(id) : text;
    };
  };
  const VocabRules& rules = session_->tokenizer().rules();
  tokens.first_mismatch =
      compare_tokens({*tokens.engine, piece(engine_.get())},
                     {*tokens.backend, piece(backend_.get())}, {rules.bos_id, rules.eos_id});
  tokens.match = !tokens.first_mismatch;
  if (*tokens.match) return;
  // What is known beyond the ids themselves.
  std::string cause =
      backend_model_ ? vocab_difference(session_->model(), *backend_model_) : std::string();
  if (cause.empty()) cause = session_->tokenizer().known_difference();
  if (!cause.empty()) tokens.first_mismatch->hint += "; " + cause;
}

void Pair::dump_ids(const std::string& side, const std::vector<TokenId>& ids, Report& report) {
  TokenDump dump{backend_display_name(side), {}};
  for (TokenId id : ids) dump.tokens.push_back({id, session_->tokenizer().piece(id)});
  report.dumps.push_back(std::move(dump));
}

void Pair::compare(const PromptInput& input, Report& report) {
  engine_before_ = engine_ ? engine_->timing() : EngineTiming{};
  backend_before_ = backend_ ? backend_->timing() : EngineTiming{};
  tokenize_ms_ = 0;
  const PreparedPrompt prompt = session_->prepare(input, options_.prompt, report.prompt);
  gate_tokens(prompt, report);
  if (options_.dump_ids) dump_ids(options_.engine, *report.tokens.engine, report);
  if (options_.dump_backend_ids) dump_ids(backend_name_, *report.tokens.backend, report);
  if (!*report.tokens.match) {
    report.status = Status::token_mismatch;
  } else {
    check_prompt_ids(*report.tokens.engine, smallest_vocabulary(), session_->model(), n_decode());
    if (options_.ladder == Ladder::tokens) {
      report.status = Status::agree;
    } else {
      const bool alone = taps_ != nullptr && is_native(options_.engine) &&
                         native_unsupported_reason(session_->model());
      if (alone) {
        evaluate_backend_alone(*report.tokens.engine, report);
      } else {
        compare_logits(*report.tokens.engine, prompt, report);
      }
    }
  }
  report.model.sha256 = sha256_.get();
  fill_engines(report);
  show_stages(report);
}

// Every operation can be checked without an engine of our own for the whole model.
void Pair::evaluate_backend_alone(const std::vector<TokenId>& ids, Report& report) {
  const int n_positions = static_cast<int>(ids.size()) + n_decode();
  backend_->reset(n_positions);
  std::span<const TokenId> next = ids;
  TokenId choice = 0;
  std::vector<float> row(static_cast<size_t>(backend_->info().n_vocab));
  for (int done = 0; done < n_positions;
       done += static_cast<int>(next.size()), next = {&choice, 1}) {
    if (done > 0) {
      choice = greedy_choice(row);
    }
    progress_.stage(fmt::format("evaluating {} ids, tensor by tensor", next.size()));
    taps_->begin_eval(next);
    eval_tapped(*backend_, true, next, *taps_);
    backend_->read_logits(static_cast<int>(next.size()) - 1, 1, row);
  }
  report.status = Status::agree;
}

void Pair::compare_logits(const std::vector<TokenId>& ids, const PreparedPrompt& prompt,
                          Report& report) {
  const int n_positions = static_cast<int>(ids.size()) + n_decode();
  if (backend_) backend_->reset(n_positions);
  if (engine_) engine_->reset(n_positions);
  open_native_sides();
  if (engine_->info().n_vocab != backend_->info().n_vocab) {
    bad_input("other_vocabulary",
              fmt::format("the engine's model has {} logits a position, the backend's {}",
                          engine_->info().n_vocab, backend_->info().n_vocab),
              options_.backend_model.empty() ? options_.model.model : options_.backend_model,
              "compare models with the same vocabulary");
  }
  LockstepPlan plan;
  plan.prompt = ids;
  plan.n_decode = n_decode();
  plan.at_once =
      2 * resolve_threads(options_.common) <= static_cast<int>(std::thread::hardware_concurrency());
  plan.taps = taps_;
  plan.piece = [this](TokenId id) { return session_->tokenizer().piece(id); };
  if (options_.last_positions > 0) {
    plan.first_compared = std::max(0, n_positions - options_.last_positions);
  }
  if (options_.ladder == Ladder::first_logit) {
    plan.first_compared = static_cast<int>(ids.size()) - 1;
  }
  std::optional<TraceWriter> engine_trace, backend_trace;
  const std::string& dir = options_.save_trace_dir;
  if (!dir.empty()) {
    std::error_code failed;
    std::filesystem::create_directories(dir, failed);
    const auto metadata = [&](const Engine& side) {
      return trace_metadata(side.info(), sha256_.get(), prompt.formatted.text,
                            static_cast<int>(ids.size()));
    };
    const int n_vocab = engine_->info().n_vocab;
    engine_trace.emplace(dir + "/engine.safetensors", metadata(*engine_), n_vocab, 1);
    backend_trace.emplace(dir + "/backend.safetensors", metadata(*backend_), n_vocab, 0);
  }
  Comparison comparison(report.metrics);
  double compare_ms = 0;
  const double noise_before = rounding_ ? rounding_->timing().eval_ms : 0;
  if (shared_ != nullptr) plan.decode_ids = shared_->decoded_after(ids);
  const std::vector<TokenId> evaluated =
      run_lockstep({.engine = *engine_,
                    .backend = *backend_,
                    .rounding = rounding_.get(),
                    .rounding_base = rounding_base_.get(),
                    .engine_trace = engine_trace ? &*engine_trace : nullptr,
                    .backend_trace = backend_trace ? &*backend_trace : nullptr},
                   plan, comparison, session_->pool(), progress_, compare_ms);
  if (shared_ != nullptr) shared_->set_evaluated(ids.size(), evaluated);
  report.timing.compare_ms = compare_ms;
  if (rounding_) report.timing.noise_ms = rounding_->timing().eval_ms - noise_before;
  NoiseScale scale;
  if (rounding_) scale = {rounding_->n_embd(), rounding_->n_layers()};
  if (engine_trace) {
    save_noise(comparison, *engine_trace);
    engine_trace->finish();
    backend_trace->finish();
  }
  set_judgement(report, judge(comparison, report.tolerance, scale));
  if (!non_finite_weight_.empty()) report.status = Status::diverged;
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
  for (Engine* engine : {engine_.get(), backend_.get()}) {
    if (engine == nullptr) continue;
    for (const std::string& line : engine->log_tail()) {
      progress_.verbose(engine->info().name + ": " + line);
    }
  }
}

void Pair::fill_engines(Report& report) const {
  if (engine_) {
    report.engine = describe_engine(*engine_, "");
    report.engine->log = engine_->warnings();
    report.timing.engine = timing_since(engine_->timing(), engine_before_);
    if (is_native(options_.engine)) report.timing.engine->tokenize_ms = tokenize_ms_;
  }
  if (backend_) {
    report.backend = EngineReport{backend_->info(), "", selected_by_, backend_->warnings()};
    report.timing.backend = timing_since(backend_->timing(), backend_before_);
  }
}

}  // namespace crossval
