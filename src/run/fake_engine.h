// An engine for tests of the loop: rows and tensors by rule, a log of what it was asked, failures
// on demand.
#pragma once

#include <functional>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace crossval {

struct FakeFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Calls of all fakes of a test, in the order in which they came.
class CallLog {
 public:
  void add(const std::string& call) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(call);
  }
  std::vector<std::string> calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> calls_;
};

// The row after id i has its largest logit at i + 1. Each eval of ids shows `n_taps` tensors.
class FakeEngine : public Engine {
 public:
  FakeEngine(std::string name, CallLog& log, int n_vocab = 8) : name_(std::move(name)), log_(log) {
    info_.name = name_;
    info_.n_vocab = n_vocab;
  }

  int n_taps = 0;
  bool gives_tops = false;
  std::string fails_at;                     // the call that throws: "eval 2", "tap 1", "read 0"
  std::function<void(int tap)> before_tap;  // may be empty

  Capabilities can() const override {
    return {.taps = n_taps > 0, .rows = gives_tops ? LogitRows::top : LogitRows::full};
  }
  // The likeliest after id i is i + 1, and then i.
  std::vector<TopRow> read_top_rows(int first_row, int n_rows) override {
    call("tops " + std::to_string(first_row) + "+" + std::to_string(n_rows));
    std::vector<TopRow> rows;
    for (int i = first_row; i < first_row + n_rows; ++i) {
      const TokenId id = ids_.at(static_cast<size_t>(i));
      rows.push_back({{id + 1, -0.1F}, {id, -3.0F}});
    }
    return rows;
  }
  const EngineInfo& info() const override { return info_; }
  const EngineTiming& timing() const override { return timing_; }
  std::vector<TokenId> tokenize(const std::string&, const TokenizeOptions&) override { return {}; }
  std::string piece(TokenId) override { return ""; }
  void reset(int n_ctx) override { call("reset " + std::to_string(n_ctx)); }
  void eval(std::span<const TokenId> ids) override {
    ids_.assign(ids.begin(), ids.end());
    call("eval " + std::to_string(ids.size()));
  }
  void eval_with_taps(std::span<const TokenId> ids, const TapFilter&,
                      const TapSink& sink) override {
    eval(ids);
    for (int i = 0; i < n_taps; ++i) {
      if (before_tap) before_tap(i);
      call("tap " + std::to_string(i));
      Tap tap;
      tap.name = "l_out-" + std::to_string(i);
      tap.layer = i;
      tap.op = "ADD";
      sink(std::move(tap));
    }
  }
  void read_logits(int first_row, int n_rows, std::span<float> out) override {
    call("read " + std::to_string(first_row) + "+" + std::to_string(n_rows));
    std::fill(out.begin(), out.end(), 0.0f);
    for (int i = 0; i < n_rows; ++i) {
      const TokenId id = ids_.at(static_cast<size_t>(first_row + i));
      out[static_cast<size_t>(i * info_.n_vocab + (id + 1) % info_.n_vocab)] = 1;
    }
  }

 private:
  void call(const std::string& what) {
    log_.add(name_ + ": " + what);
    if (what == fails_at) throw FakeFailure(name_ + " failed at " + what);
  }

  std::string name_;
  CallLog& log_;
  EngineInfo info_;
  EngineTiming timing_;
  std::vector<TokenId> ids_;
};

}  // namespace crossval
