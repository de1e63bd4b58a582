// Opening both sides of a comparison: preflight first, then the model, the vocabulary while the
// workers load; native when the other side's settings are known.
#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/sha256.h"
#include "native/check_model.h"
#include "native/support.h"
#include "run/engine_report.h"
#include "run/model_diff.h"
#include "run/pair.h"

namespace crossval {

Pair::Pair(const PerTokenOptions& options, Progress& progress, Report& report, PairsShare* shared)
    : options_(options), progress_(progress), shared_(shared) {
  choose_sides();
  open_sides(report);
}

// Preflight comes before the model is opened; only `auto` has to look into it first.
void Pair::choose_sides() {
  require_gguf(options_.model.model);
  std::string name = options_.backend;
  selected_by_ = "flag";
  if (name == "auto") {
    model_file_ = ModelFile::open(options_.model.model, options_.model.i2_s_layout);
    const BackendChoice choice = choose_backend(*model_file_);
    name = choice.name;
    selected_by_ = choice.selected_by;
  }
  backend_.ref = find_engine(name, "--backend");
  engine_.ref = find_engine(options_.engine, "--engine");
  progress_.verbose(fmt::format("Selected backend: {} ({})", backend_.ref.display_name(),
                                selected_by_ == "flag" ? "from --backend" : "auto-detected"));
  const Tell tell = [this](const std::string& line) { progress_.note(line); };
  check_engine(backend_.ref, tell);
  check_engine(engine_.ref, tell);
  check_model_kind(backend_.ref, options_.backend_model);
}

void Pair::open_sides(Report& report) {
  const std::string& path = options_.model.model;
  const std::string& backend_path = options_.backend_model.empty() ? path : options_.backend_model;
  if (!model_file_) model_file_ = ModelFile::open(path, options_.model.i2_s_layout);
  check_model(*model_file_);
  model_.emplace(model_file_, options_.model, options_.common, progress_);
  report.model = model_->report();
  if (shared_ != nullptr) sha256_ = shared_->sha256;
  if (!sha256_.valid()) {
    sha256_ = std::async(std::launch::async, [path] { return sha256_file(path); }).share();
    if (shared_ != nullptr) shared_->sha256 = sha256_;
  }
  // What a checkpoint holds, its own engine says.
  if (backend_path != path && kind_of_model(backend_path) == ModelKind::gguf) {
    backend_file_ = ModelFile::open(backend_path);
    check_model(*backend_file_);
    progress_.stage("comparing the two model files");
    report.model_diff = compare_models(*model_file_, *backend_file_, model_->pool());
  }
  // The vocabulary is read while the workers start and load.
  auto vocabulary = std::async(std::launch::async, [this] { model_->load_tokenizer(); });
  open_side(backend_, backend_path);
  open_side(engine_, path);
  progress_.stage("");
  vocabulary.get();
  give_vocabulary(backend_);
  give_vocabulary(engine_);
  for (const std::string& warning : model_->tokenizer().warnings()) progress_.verbose(warning);
  non_finite_weight_ = model_->find_non_finite_weight(*model_file_);
  if (non_finite_weight_.empty() && backend_file_) {
    non_finite_weight_ = model_->find_non_finite_weight(*backend_file_);
  }
  report.non_finite_weight = non_finite_weight_;
  report.metrics = metrics_for(report.metrics, has_partial_rows());
  fill_engines(report);
}

void Pair::open_side(OpenedSide& side, const std::string& model_path) {
  if (side.ref.is_builtin()) return;
  progress_.stage(fmt::format("loading the model with {}", side.ref.display_name()));
  side.engine = shared_ == nullptr ? std::shared_ptr<Engine>(model_->open(side.ref, model_path))
                                   : shared_->engines.open(side.ref.name, [&] {
                                       return model_->open(side.ref, model_path);
                                     });
}

// To engines that name tokens by their text.
void Pair::give_vocabulary(OpenedSide& side) {
  if (!side.engine || !side.engine->can().wants_vocabulary) return;
  std::vector<std::string> pieces;
  const Tokenizer& tokenizer = model_->tokenizer();
  pieces.reserve(static_cast<size_t>(tokenizer.n_vocab()));
  for (int id = 0; id < tokenizer.n_vocab(); ++id) pieces.push_back(tokenizer.piece(id));
  side.engine->give_vocabulary(pieces);
}

// Native's cache rounds as the other side's does. Two ways of rounding are not imitated but part of
// the noise: to 8 bits, which each engine does in its own way (llama.cpp rotates keys before), and
// the half floats in which flash attention adds values up (llama.cpp ggml-cpu/ops.cpp
// `ggml_compute_forward_flash_attn_ext_f16_one_chunk`).
NativeOptions Pair::native_options(Numerics numerics, Rounding rounding) const {
  const bool imitates = rounding == Rounding::imitated;
  NativeOptions native{.numerics = numerics, .sums_otherwise = !imitates};
  if (!engine_.ref.is_builtin() && !backend_.ref.is_builtin()) return native;
  const Engine* other = engine_.ref.is_builtin() ? backend_.engine.get() : engine_.engine.get();
  if (other == nullptr) return native;
  const auto& settings = other->info().settings;
  const auto value_of = [&](const char* key) {
    const auto found = settings.find(key);
    return found != settings.end() ? found->second : std::string();
  };
  const bool is_flash = value_of("flash_attn") == "on";
  const auto type = [&](const char* key) {
    const KvType type = find_kv_type(value_of(key)).value_or(KvType::f32);
    if (type == KvType::q8_0) return imitates ? KvType::f32 : type;
    return is_flash && !imitates ? KvType::f32 : type;
  };
  native.flash_attn = is_flash && imitates;
  native.k_type = type("kv_type_k");
  native.v_type = type("kv_type_v");
  return native;
}

// Made when the other side's context exists, because its cache types are only known then.
void Pair::open_native_sides() {
  const bool exact = options_.model.numerics == NumericsChoice::exact;
  const Numerics numerics = exact ? Numerics::exact : Numerics::ggml;
  const NativeOptions options = native_options(numerics, Rounding::imitated);
  if (engine_.ref.is_builtin() && !engine_.engine) engine_.engine = model_->open_native(options);
  if (backend_.ref.is_builtin() && !backend_.engine) {
    backend_.engine = model_->open_native(options, backend_file_);
  }
  if (noise_) return;
  if (native_unsupported_reason(*model_file_)) {
    open_lifted_noise();
  } else {
    open_native_noise();
  }
}

// The cache of the other one rounds as the engines' do, in its own way.
NoiseRuns Pair::noise_runs() const {
  const bool is_exact =
      engine_.ref.is_builtin() && options_.model.numerics == NumericsChoice::exact;
  const Numerics base = is_exact ? Numerics::exact : Numerics::ggml;
  const Numerics other = is_exact ? Numerics::ggml : Numerics::exact;
  return {native_options(base, Rounding::imitated), native_options(other, Rounding::noise)};
}

// Beside native its other arithmetic; of other engines both.
void Pair::open_native_noise() {
  const NoiseRuns runs = noise_runs();
  if (!engine_.ref.is_builtin()) noise_base_ = model_->open_native(runs.base);
  auto noise = model_->open_native(runs.other);
  noise_scale_ = {noise->n_embd(), noise->n_layers()};
  noise_ = std::move(noise);
}

// What quantised kernels round: the engine against itself over a copy of its weights in F32.
// Without such weights, or where the copy would be too large or could not be made, the noise stays
// unknown.
void Pair::open_lifted_noise() {
  constexpr int64_t max_parameters = int64_t{1} << 30;  // of 4 bytes in a temporary file
  if (engine_.ref.is_builtin() || engine_.ref.is_recording()) return;
  int64_t n_parameters = 0;
  bool any_rounds = false;
  for (const TensorView& tensor : model_file_->tensors()) {
    n_parameters += tensor.n_elements();
    any_rounds = any_rounds || (tensor.shape.size() > 1 && tensor.type != GgmlType::F32);
  }
  noise_scale_.weights_are_exact = !any_rounds;
  if (!any_rounds || n_parameters > max_parameters) return;
  try {
    progress_.stage("measuring the rounding noise: a copy of the model in F32");
    lifted_.emplace(lift_model(*model_file_));
  } catch (const Error& error) {
    progress_.verbose("the rounding noise stays unknown: " + error.what_);
    return;
  }
  const std::string arch = model_file_->architecture();
  const auto count = [&](const char* key) {
    return static_cast<int>(
        std::clamp<int64_t>(model_file_->get_int(arch + key).value_or(0), 0, int64_t{1} << 30));
  };
  noise_scale_ = {count(".embedding_length"), count(".block_count")};
  noise_ = model_->open(engine_.ref, lifted_->path());
}

// A worker that died over one prompt is started again for the next; one that dies of every prompt
// is not worth loading the model over and over.
void Pair::reopen_gone(Report& report) {
  constexpr int max_in_a_row = 16;
  const auto is_gone = [](const OpenedSide& side) { return side.engine && side.engine->is_gone(); };
  if (noise_ && noise_->is_gone()) noise_.reset();
  if (!is_gone(backend_) && !is_gone(engine_)) n_restarts_in_a_row_ = 0;
  for (OpenedSide* side : {&backend_, &engine_}) {
    if (!is_gone(*side) || n_restarts_in_a_row_ >= max_in_a_row) continue;
    ++n_restarts_in_a_row_;
    ++n_restarts_;
    const bool is_backend = side == &backend_ && !options_.backend_model.empty();
    open_side(*side, is_backend ? options_.backend_model : options_.model.model);
    give_vocabulary(*side);
    side->before = {};
    report.remarks.push_back(
        fmt::format("note: {} had ended over an earlier prompt and was started again (restart {})",
                    side->ref.display_name(), n_restarts_));
  }
}

bool Pair::engine_can_run() const {
  return !engine_.ref.is_builtin() || !native_unsupported_reason(*model_file_);
}

void Pair::fill_engines(Report& report) const {
  if (const Engine* engine = engine_.engine.get()) {
    report.engine = describe_engine(*engine_.engine, "");
    report.timing.engine = timing_since(engine->timing(), engine_.before);
    if (engine_.ref.is_builtin()) report.timing.engine->tokenize_ms = tokenize_ms_;
  }
  if (const Engine* backend = backend_.engine.get()) {
    report.backend = describe_engine(*backend_.engine, selected_by_);
    report.backend->numerics.clear();  // native's word, which is the engine's
    report.timing.backend = timing_since(backend->timing(), backend_.before);
  }
}

}  // namespace crossval
