#include "cli/lockstep.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <future>

#include "compare/eval_paired.h"

namespace crossval {
namespace {

// Rows of one side held at a time: some 16 MB, so that a chunk still feeds the matmul well.
int rows_per_chunk(int n_vocab) { return std::clamp((16 << 20) / (4 * n_vocab), 4, 128); }

class Driver {
 public:
  Driver(const Sides& sides, const LockstepPlan& plan, Comparison& comparison, ThreadPool& pool,
         Progress& progress)
      : sides_(sides),
        plan_(plan),
        comparison_(comparison),
        pool_(pool),
        progress_(progress),
        n_vocab_(sides.engine.info().n_vocab) {
    const size_t size =
        static_cast<size_t>(rows_per_chunk(n_vocab_)) * static_cast<size_t>(n_vocab_);
    engine_rows_.resize(size);
    backend_rows_.resize(size);
    if (sides.rounding != nullptr) rounding_rows_.resize(size);
    if (sides.rounding_base != nullptr) base_rows_.resize(size);
  }

  void evaluate(std::span<const TokenId> ids, const char* what) {
    const auto stage = [&](const Engine& side) {
      progress_.stage(fmt::format("{} {} ids with {}", what, ids.size(), side.info().name));
    };
    if (plan_.taps != nullptr) {
      progress_.stage(fmt::format("{} {} ids, tensor by tensor", what, ids.size()));
      evaluate_tapped(ids);
    } else if (plan_.at_once) {
      progress_.stage(fmt::format("{} {} ids with both engines", what, ids.size()));
      auto backend = std::async(std::launch::async, [&] { sides_.backend.eval(ids); });
      sides_.engine.eval(ids);
      backend.get();
    } else {
      stage(sides_.backend);
      sides_.backend.eval(ids);
      stage(sides_.engine);
      sides_.engine.eval(ids);
    }
    if (sides_.rounding != nullptr) {
      progress_.stage("measuring the rounding noise");
      sides_.rounding->eval(ids);
      if (sides_.rounding_base != nullptr) sides_.rounding_base->eval(ids);
    }
    progress_.stage("reading and comparing logits");
  }

  // Both at once, because a side that is ahead waits for the other.
  void evaluate_tapped(std::span<const TokenId> ids) {
    plan_.taps->begin_eval(ids);
    run_both([&] { eval_tapped(sides_.engine, false, ids, *plan_.taps); },
             [&] { eval_tapped(sides_.backend, true, ids, *plan_.taps); }, plan_.taps->abort);
  }

  // Rows of the latest eval, whose first id has this position. Returns the greedy choice after
  // the last row.
  TokenId compare(std::span<const TokenId> ids, int first_position) {
    const int n = static_cast<int>(ids.size());
    const bool saving = sides_.engine_trace != nullptr || sides_.backend_trace != nullptr;
    int row = saving ? 0 : std::clamp(plan_.first_compared - first_position, 0, n - 1);
    TokenId choice = 0;
    while (row < n) {
      const int count = std::min(rows_per_chunk(n_vocab_), n - row);
      const size_t size = static_cast<size_t>(count) * static_cast<size_t>(n_vocab_);
      const std::span<float> engine(engine_rows_.data(), size);
      const std::span<float> backend(backend_rows_.data(), size);
      const std::span<float> rounding(rounding_rows_.data(), rounding_rows_.empty() ? 0 : size);
      sides_.backend.read_logits(row, count, backend);
      sides_.engine.read_logits(row, count, engine);
      if (sides_.rounding != nullptr) sides_.rounding->read_logits(row, count, rounding);
      const std::span<float> base(base_rows_.data(), base_rows_.empty() ? 0 : size);
      if (sides_.rounding_base != nullptr) sides_.rounding_base->read_logits(row, count, base);
      std::vector<PositionRows> batch;
      for (int i = 0; i < count; ++i) {
        const auto slice = [&](std::span<const float> rows) {
          const auto width = static_cast<size_t>(n_vocab_);
          return rows.empty() ? rows : rows.subspan(static_cast<size_t>(i) * width, width);
        };
        const TokenId id = ids[static_cast<size_t>(row + i)];
        if (sides_.engine_trace != nullptr) sides_.engine_trace->write_row(id, slice(engine));
        if (sides_.backend_trace != nullptr) sides_.backend_trace->write_row(id, slice(backend));
        const int position = first_position + row + i;
        if (position < plan_.first_compared) continue;
        batch.push_back({.index = position,
                         .phase = phase_of(position),
                         .token = {id, plan_.piece(id)},
                         .engine = slice(engine),
                         .backend = slice(backend),
                         .rounding = slice(rounding),
                         .rounding_base = slice(base)});
      }
      const auto start = std::chrono::steady_clock::now();
      comparison_.add(batch, &pool_);
      compare_ms_ +=
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start)
              .count();
      row += count;
      if (row == n) choice = greedy_choice(backend.last(static_cast<size_t>(n_vocab_)));
    }
    return choice;
  }

  double compare_ms() const { return compare_ms_; }

 private:
  Phase phase_of(int position) const {
    const int n = plan_.n_prompt > 0 ? plan_.n_prompt : static_cast<int>(plan_.prompt.size());
    return position < n ? Phase::prompt : Phase::decode;
  }

  const Sides& sides_;
  const LockstepPlan& plan_;
  Comparison& comparison_;
  ThreadPool& pool_;
  Progress& progress_;
  int n_vocab_;
  std::vector<float> engine_rows_, backend_rows_, rounding_rows_, base_rows_;
  double compare_ms_ = 0;
};

}  // namespace

void eval_tapped(Engine& side, bool is_backend, std::span<const TokenId> ids,
                 const TapHooks& hooks) {
  if (side.has_taps()) {
    side.eval_with_taps(ids, hooks.filter, is_backend ? hooks.backend : hooks.engine);
  } else {
    side.eval(ids);
  }
  hooks.ended(is_backend);
}

TokenId greedy_choice(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best] || logits[best] != logits[best]) best = i;
  }
  return static_cast<TokenId>(best);
}

std::vector<TokenId> run_lockstep(const Sides& sides, const LockstepPlan& plan,
                                  Comparison& comparison, ThreadPool& pool, Progress& progress,
                                  double& compare_ms) {
  const int n_ctx = static_cast<int>(plan.prompt.size()) + plan.n_decode;
  sides.backend.reset(n_ctx);
  sides.engine.reset(n_ctx);
  if (sides.rounding != nullptr) sides.rounding->reset(n_ctx);
  if (sides.rounding_base != nullptr) sides.rounding_base->reset(n_ctx);
  Driver driver(sides, plan, comparison, pool, progress);
  std::vector<TokenId> ids = plan.prompt;
  driver.evaluate(plan.prompt, "evaluating");
  TokenId next = driver.compare(plan.prompt, 0);
  for (int i = 0; i < plan.n_decode; ++i) {
    const int position = static_cast<int>(ids.size());
    if (!plan.decode_ids.empty()) next = plan.decode_ids.at(static_cast<size_t>(i));
    ids.push_back(next);
    driver.evaluate({&next, 1}, "decoding");
    next = driver.compare({&ids.back(), 1}, position);
  }
  progress.stage("");
  compare_ms += driver.compare_ms();
  return ids;
}

}  // namespace crossval
