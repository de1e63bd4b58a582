#include "run/drive.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/deadline.h"

namespace crossval {
namespace {

// Rows of one side held at a time: some 16 MB, so that a chunk still feeds the matmul well.
int rows_per_block(int n_vocab) {
  return std::clamp((16 << 20) / (4 * std::max(n_vocab, 1)), 4, 128);
}

bool gives_whole_rows(const Participant& one) { return one.engine.can().rows == LogitRows::full; }

bool is_measured(Side side) { return side == Side::engine || side == Side::backend; }

// The first error of several threads; whatever follows from it is not told.
class FirstError {
 public:
  // Called in a handler. Whether it is the first.
  bool keep() {
    const std::lock_guard lock(mutex_);
    if (error_) return false;
    error_ = std::current_exception();
    return true;
  }
  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr error_;
};

class Drive {
 public:
  Drive(std::span<const Participant> participants, const Steps& steps,
        std::span<Observer* const> observers, Progress& progress)
      : participants_(participants), steps_(steps), observers_(observers), progress_(progress) {
    for (const Participant& one : participants) {
      if (gives_whole_rows(one)) n_vocab_ = one.engine.info().n_vocab;
    }
    for (const Participant& one : participants) {
      if (!gives_whole_rows(one)) continue;
      assert(one.engine.info().n_vocab == n_vocab_);
      blocks_[static_cast<size_t>(one.side)].resize(static_cast<size_t>(rows_per_block(n_vocab_)) *
                                                    static_cast<size_t>(n_vocab_));
    }
  }

  std::vector<TokenId> run() {
    std::vector<TokenId> ids = steps_.prompt;
    const auto n_prompt = static_cast<int>(ids.size());
    const int n_at_a_time = steps_.n_at_a_time > 0 ? steps_.n_at_a_time : n_prompt;
    for (int done = 0; done < n_prompt; done += n_at_a_time) {
      const int n = std::min(n_at_a_time, n_prompt - done);
      step(std::span(std::as_const(ids)).subspan(static_cast<size_t>(done), static_cast<size_t>(n)),
           done, "evaluating");
    }
    for (int i = 0; i < steps_.n_decode; ++i) {
      const TokenId next =
          steps_.decode_ids.empty() ? choice_ : steps_.decode_ids.at(static_cast<size_t>(i));
      ids.push_back(next);
      step({&ids.back(), 1}, n_prompt + i, "decoding");
    }
    progress_.stage("");
    return ids;
  }

 private:
  void step(std::span<const TokenId> ids, int first_position, const char* what) {
    shows_tensors_ =
        !steps_.shows_tensors || steps_.shows_tensors(first_position, static_cast<int>(ids.size()));
    check_run_deadline();
    for (Observer* observer : observers_) observer->begin(ids, first_position);
    evaluate(ids, what);
    read_rows(ids, first_position);
  }

  bool shows(const Participant& one) const {
    return shows_tensors_ && one.look == Look::tensors && one.engine.can().taps;
  }

  void evaluate(std::span<const TokenId> ids, const char* what) {
    std::vector<const Participant*> together, after;
    bool shown = false;
    for (const Participant& one : participants_) {
      shown = shown || shows(one);
      (is_measured(one.side) ? together : after).push_back(&one);
    }
    if (together.size() > 1 && (shown || steps_.at_once)) {
      progress_.stage(shown ? fmt::format("{} {} ids, tensor by tensor", what, ids.size())
                            : fmt::format("{} {} ids with both engines", what, ids.size()));
      evaluate_at_once(together, ids);
    } else {
      for (const Participant* one : together) {
        progress_.stage(shows(*one) ? fmt::format("{} {} ids, tensor by tensor", what, ids.size())
                                    : fmt::format("{} {} ids with {}", what, ids.size(),
                                                  one->engine.info().name));
        guarded([&] { evaluate(*one, ids); });
      }
    }
    if (!after.empty()) progress_.stage("measuring the rounding noise");
    for (const Participant* one : after) guarded([&] { evaluate(*one, ids); });
  }

  void evaluate_at_once(const std::vector<const Participant*>& sides,
                        std::span<const TokenId> ids) {
    FirstError error;
    const auto run = [&](const Participant& one) {
      try {
        evaluate(one, ids);
      } catch (...) {
        if (error.keep()) abort();
      }
    };
    std::vector<std::thread> threads;
    for (size_t i = 1; i < sides.size(); ++i) threads.emplace_back(run, std::cref(*sides[i]));
    run(*sides.front());
    for (std::thread& thread : threads) thread.join();
    error.rethrow();
  }

  void evaluate(const Participant& one, std::span<const TokenId> ids) {
    if (shows(one)) {
      TapPlacer& placer = placers_.at(static_cast<size_t>(one.side));
      placer.begin_eval(ids);
      one.engine.eval_with_taps(ids, steps_.filter, [&](Tap&& tap) {
        const PlacedTap placed = placer.place(std::move(tap));
        for (Observer* observer : observers_) observer->tap(one.side, placed);
      });
    } else {
      one.engine.eval(ids);
    }
    for (Observer* observer : observers_) observer->end(one.side);
  }

  template <class Work>
  void guarded(const Work& work) {
    try {
      work();
    } catch (...) {
      abort();
      throw;
    }
  }

  void abort() {
    for (Observer* observer : observers_) observer->abort();
  }

  // Of the latest eval, to the observers; keeps the greedy choice after the last row.
  void read_rows(std::span<const TokenId> ids, int first_position) {
    progress_.stage("reading and comparing logits");
    const int n = static_cast<int>(ids.size());
    int row = std::clamp(steps_.first_row - first_position, 0, n - 1);
    while (row < n) {
      const int count = std::min(rows_per_block(n_vocab_), n - row);
      const size_t size = static_cast<size_t>(count) * static_cast<size_t>(n_vocab_);
      RowBlock block{.first_position = first_position + row,
                     .ids = ids.subspan(static_cast<size_t>(row), static_cast<size_t>(count)),
                     .n_vocab = n_vocab_,
                     .rows = {}};
      for (const Participant& one : participants_) {
        const auto side = static_cast<size_t>(one.side);
        if (gives_whole_rows(one)) {
          const std::span<float> rows(blocks_[side].data(), size);
          one.engine.read_logits(row, count, rows);
          block.rows[side] = rows;
        } else {
          tops_[side] = one.engine.read_top_rows(row, count);
          block.tops[side] = tops_[side];
        }
      }
      row += count;
      // The last row is also read for its choice, where it is not to be seen.
      if (block.first_position >= steps_.first_row) {
        for (Observer* observer : observers_) observer->rows(block);
      }
      if (row < n) continue;
      const std::span<const float> last = block.row(steps_.chooser, count - 1);
      if (!last.empty()) choice_ = greedy_choice(last);
      const TopRow* last_top = block.top(steps_.chooser, count - 1);
      if (last_top != nullptr) choice_ = last_top->front().token;
    }
  }

  std::span<const Participant> participants_;
  const Steps& steps_;
  std::span<Observer* const> observers_;
  Progress& progress_;
  int n_vocab_ = 0;
  std::array<std::vector<float>, kNSides> blocks_;
  std::array<std::vector<TopRow>, kNSides> tops_;
  std::array<TapPlacer, kNSides> placers_;
  bool shows_tensors_ = false;
  TokenId choice_ = 0;
};

}  // namespace

std::span<const float> RowBlock::row(Side side, int i) const {
  const std::span<const float>& all = rows[static_cast<size_t>(side)];
  if (all.empty()) return {};
  const auto width = static_cast<size_t>(n_vocab);
  return all.subspan(static_cast<size_t>(i) * width, width);
}

const TopRow* RowBlock::top(Side side, int i) const {
  const std::span<const TopRow>& all = tops[static_cast<size_t>(side)];
  return all.empty() ? nullptr : &all[static_cast<size_t>(i)];
}

TokenId greedy_choice(std::span<const float> logits) {
  size_t best = 0;
  for (size_t i = 1; i < logits.size(); ++i) {
    if (logits[i] > logits[best] || (std::isnan(logits[best]) && !std::isnan(logits[i]))) best = i;
  }
  return static_cast<TokenId>(best);
}

std::vector<TokenId> drive(std::span<const Participant> participants, const Steps& steps,
                           std::span<Observer* const> observers, Progress& progress) {
  assert(!participants.empty() && !steps.prompt.empty());
  return Drive(participants, steps, observers, progress).run();
}

}  // namespace crossval
