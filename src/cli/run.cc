// crossval run: one engine alone over one prompt; its ids, the top tokens of every position, times.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <iostream>
#include <optional>

#include "backends/open.h"
#include "base/error.h"
#include "base/sha256.h"
#include "cli/commands.h"
#include "cli/engine_report.h"
#include "cli/lockstep.h"
#include "cli/output.h"
#include "cli/terminal_progress.h"
#include "cli/session.h"
#include "compare/topk.h"
#include "engine/trace_taps.h"

namespace crossval {
namespace {

constexpr int n_top_shown = 5;
constexpr int rows_per_chunk = 64;

class SingleRun {
 public:
  explicit SingleRun(const RunOptions& options) : options_(options), progress_(options.common) {}

  void open(RunReport& report) {
    const bool native = options_.engine == "native";
    if (!native && !options_.engine.starts_with("trace:")) check_backend({options_.engine, "flag"});
    session_.emplace(ModelFile::open(options_.model.model, options_.model.i2_s_layout),
                     options_.model, options_.common, progress_);
    report.model = session_->model_report();
    sha256_ = std::async(std::launch::async, [path = options_.model.model] {
                return sha256_file(path);
              }).share();
    auto vocabulary = std::async(std::launch::async, [this] { session_->load_tokenizer(); });
    progress_.stage("loading the model with " + backend_display_name(options_.engine));
    if (!native) engine_ = session_->open(options_.engine, options_.model.model);
    vocabulary.get();
    if (native) {
      const bool exact = options_.model.numerics == NumericsChoice::exact;
      engine_ = session_->open_native({.numerics = exact ? Numerics::exact : Numerics::ggml});
    }
  }

  void run(const PromptInput& input, RunReport& report) {
    const EngineTiming before = engine_->timing();
    const PreparedPrompt prompt = session_->prepare(input, options_.prompt, report.prompt);
    std::vector<TokenId> ids =
        prompt.ids ? *prompt.ids : engine_->tokenize(prompt.formatted.text, prompt.options);
    check_prompt_ids(ids, engine_->info().n_vocab, session_->model(), options_.model.max_tokens);
    const int n_prompt = static_cast<int>(ids.size());
    std::optional<TraceWriter> trace;
    if (!options_.save_trace.empty()) {
      trace.emplace(options_.save_trace,
                    trace_metadata(engine_->info(), sha256_.get(), prompt.formatted.text, n_prompt),
                    engine_->info().n_vocab, options_.taps.empty() ? 0 : max_saved_taps);
    }
    engine_->reset(n_prompt + options_.model.max_tokens);
    TokenId next = evaluate(ids, 0, Phase::prompt, report, trace);
    for (int i = 0; i < options_.model.max_tokens; ++i) {
      ids.push_back(next);
      next = evaluate({&ids.back(), 1}, n_prompt + i, Phase::decode, report, trace);
    }
    if (trace) trace->finish();
    fill(report, ids, n_prompt, before);
  }

 private:
  // Evaluates and reads the rows of some ids; returns the greedy choice after the last.
  TokenId evaluate(std::span<const TokenId> ids, int first_position, Phase phase, RunReport& report,
                   std::optional<TraceWriter>& trace) {
    progress_.stage(fmt::format("evaluating {} ids with {}", ids.size(), engine_->info().name));
    const int n = static_cast<int>(ids.size());
    if (trace && phase == Phase::prompt && !options_.taps.empty()) {
      engine_->eval_with_taps(ids, {.name_regex = options_.taps},
                              [&](Tap&& tap) { write_tap(*trace, tap, n); });
    } else {
      engine_->eval(ids);
    }
    const auto n_vocab = static_cast<size_t>(engine_->info().n_vocab);
    rows_.resize(static_cast<size_t>(std::min(n, rows_per_chunk)) * n_vocab);
    TokenId choice = 0;
    for (int first = 0; first < n; first += rows_per_chunk) {
      const int count = std::min(rows_per_chunk, n - first);
      const std::span<float> rows(rows_.data(), static_cast<size_t>(count) * n_vocab);
      engine_->read_logits(first, count, rows);
      for (int i = 0; i < count; ++i) {
        const std::span<const float> row = rows.subspan(static_cast<size_t>(i) * n_vocab, n_vocab);
        const TokenId id = ids[static_cast<size_t>(first + i)];
        RunPosition position{first_position + first + i, phase, text_of(id), {}};
        for (const TopEntry& top : top_k(row, n_top_shown)) {
          position.top.push_back({text_of(top.token), top.logit});
        }
        report.positions.push_back(std::move(position));
        if (trace) trace->write_row(id, row);
        if (first + i == n - 1) choice = greedy_choice(row);
      }
    }
    progress_.stage("");
    return choice;
  }

  TokenText text_of(TokenId id) const { return {id, session_->tokenizer().piece(id)}; }

  void fill(RunReport& report, const std::vector<TokenId>& ids, int n_prompt,
            const EngineTiming& before) {
    report.tokens = ids;
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
        rate(static_cast<int>(ids.size()) - n_prompt, timing.decode_ms);
    report.peak_rss_bytes = engine_->peak_rss_bytes();
    report.model.sha256 = sha256_.get();
  }

  const RunOptions& options_;
  TerminalProgress progress_;
  std::optional<Session> session_;
  std::unique_ptr<Engine> engine_;
  std::shared_future<std::string> sha256_;
  std::vector<float> rows_;
};

}  // namespace

int run_run(const RunOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  Output output(options.common, "");
  RunReport opening;
  SingleRun run(options);
  const auto emit = [&](RunReport& report) {
    report.total_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    return output.emit(report);
  };
  std::vector<PromptInput> prompts;
  try {
    prompts = read_prompts(options.prompt);
    run.open(opening);
  } catch (const Error& error) {
    set_error(opening, error);
    return emit(opening);
  }
  output.set_many(!options.prompt.prompts_file.empty());
  int worst = 0;
  for (const PromptInput& prompt : prompts) {
    RunReport report = opening;
    try {
      run.run(prompt, report);
    } catch (const Error& error) {
      set_error(report, error);
    }
    worst = std::max(worst, emit(report));
  }
  return worst;
}

}  // namespace crossval
