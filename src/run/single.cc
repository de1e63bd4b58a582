#include "run/single.h"

#include <fmt/format.h>

#include <future>
#include <optional>

#include "base/error.h"
#include "base/sha256.h"
#include "compare/topk.h"
#include "engine/trace_set.h"
#include "native/check_model.h"
#include "run/engine_report.h"
#include "run/loaded_model.h"
#include "run/observers.h"

namespace crossval {
namespace {

constexpr int kNTopShown = 5;

// The likeliest next tokens of every position.
class TopTokens : public Observer {
 public:
  TopTokens(Side side, int n_prompt, const Tokenizer& tokenizer,
            std::vector<RunPosition>& positions)
      : side_(side), n_prompt_(n_prompt), tokenizer_(tokenizer), positions_(positions) {}

  void rows(const RowBlock& block) override {
    for (int i = 0; i < block.n_rows(); ++i) {
      const int index = block.first_position + i;
      RunPosition position{index,
                           index < n_prompt_ ? Phase::prompt : Phase::decode,
                           text_of(block.ids[static_cast<size_t>(i)]),
                           {}};
      for (const TopEntry& top : top_k(block.row(side_, i), kNTopShown)) {
        position.top.push_back({text_of(top.token), top.logit});
      }
      positions_.push_back(std::move(position));
    }
  }

 private:
  TokenText text_of(TokenId id) const { return {id, tokenizer_.piece(id)}; }

  Side side_;
  int n_prompt_;
  const Tokenizer& tokenizer_;
  std::vector<RunPosition>& positions_;
};

class SingleRun {
 public:
  SingleRun(const RunOptions& options, Progress& progress)
      : options_(options), progress_(progress) {}

  void open(RunReport& report) {
    require_gguf(options_.model.model);
    ref_ = find_engine(options_.engine, "--engine");
    const EngineRef& ref = ref_;
    check_engine(ref, [this](const std::string& line) { progress_.note(line); });
    auto model = ModelFile::open(options_.model.model, options_.model.i2_s_layout);
    check_model(*model);
    model_.emplace(std::move(model), options_.model, options_.common, progress_);
    report.model = model_->report();
    sha256_ = std::async(std::launch::async, [path = options_.model.model] {
                return sha256_file(path);
              }).share();
    auto vocabulary = std::async(std::launch::async, [this] { model_->load_tokenizer(); });
    progress_.stage("loading the model with " + ref.display_name());
    if (!ref.is_builtin()) engine_ = model_->open(ref, options_.model.model);
    vocabulary.get();
    if (engine_ && engine_->can().rows != LogitRows::full) {
      bad_input("no_whole_rows", ref.display_name() + " gives log-probabilities, not logits",
                "--engine", "compare it: `crossval per-token --backend " + ref.name + "`");
    }
    if (ref.is_builtin()) {
      const bool exact = options_.model.numerics == NumericsChoice::exact;
      engine_ = model_->open_native({.numerics = exact ? Numerics::exact : Numerics::ggml});
    }
  }

  void run(const PromptInput& input, RunReport& report) {
    if (engine_->is_gone()) engine_ = model_->open(ref_, options_.model.model);
    const EngineTiming before = engine_->timing();
    const PreparedPrompt prompt = model_->prepare(input, options_.prompt, report.prompt);
    Steps steps;
    steps.prompt =
        prompt.ids ? *prompt.ids : engine_->tokenize(prompt.formatted.text, prompt.options);
    steps.n_decode = options_.model.max_tokens;
    steps.chooser = Side::engine;
    const EngineInfo& info = engine_->info();
    check_prompt_ids(steps.prompt, info.n_vocab, model_->file(), steps.n_decode);
    const int n_prompt = static_cast<int>(steps.prompt.size());
    TopTokens top(Side::engine, n_prompt, model_->tokenizer(), report.positions);
    std::vector<Observer*> observers = {&top};
    std::optional<Recorder> file;
    if (!options_.save_trace.empty()) {
      file.emplace(Side::engine, saved_path(options_.save_trace, input.number),
                   trace_metadata(info, sha256_.get(), prompt.formatted.text, n_prompt),
                   info.n_vocab, options_.taps.empty() ? 0 : kMaxSavedTaps);
      observers.push_back(&*file);
    }
    steps.filter.name_regex = options_.taps;
    steps.shows_tensors = [](int first_position, int) { return first_position == 0; };
    engine_->reset(n_prompt + steps.n_decode);
    const Participant engine{Side::engine, *engine_,
                             options_.taps.empty() ? Look::no : Look::tensors};
    report.tokens = drive({&engine, 1}, steps, observers, progress_);
    fill(report, n_prompt, before);
    if (file) file->finish();
    show_log(*engine_, progress_);
  }

 private:
  void fill(RunReport& report, int n_prompt, const EngineTiming& before) {
    report.status = Status::agree;
    report.engine = describe_engine(*engine_, "");
    const EngineTiming timing = timing_since(engine_->timing(), before);
    report.timing = timing;
    const auto rate = [](int n, double ms) -> std::optional<double> {
      if (n == 0 || !(ms > 0)) return std::nullopt;
      return n * 1000.0 / ms;
    };
    report.prompt_tokens_per_second = rate(n_prompt, timing.prompt_eval_ms);
    report.decode_tokens_per_second =
        rate(static_cast<int>(report.tokens->size()) - n_prompt, timing.decode_ms);
    report.peak_rss_bytes = engine_->peak_rss_bytes();
    report.model.sha256 = sha256_.get();
  }

  const RunOptions& options_;
  Progress& progress_;
  EngineRef ref_;
  std::optional<LoadedModel> model_;
  std::unique_ptr<Engine> engine_;
  std::shared_future<std::string> sha256_;
};

}  // namespace

int run_alone(const RunOptions& options, Progress& progress, const Emit<RunReport>& emit) {
  SingleRun single(options, progress);
  const PromptLoop<RunReport> loop = {
      .open = [&](RunReport& opening) { single.open(opening); },
      .run = [&](const PromptInput& prompt, RunReport& report) { single.run(prompt, report); }};
  return run_prompts(options.prompt, loop, progress, emit);
}

}  // namespace crossval
