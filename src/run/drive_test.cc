#include "run/drive.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <condition_variable>
#include <csignal>
#include <limits>
#include <map>
#include <set>

#include "run/fake_engine.h"

namespace crossval {
namespace {

using Calls = std::vector<std::string>;

class LogObserver : public Observer {
 public:
  explicit LogObserver(CallLog& log) : log_(log) {}

  std::string throws_at;  // "begin", "tap", "end", "rows"

  void begin(std::span<const TokenId> ids, int first_position) override {
    add("begin", std::to_string(ids.size()) + " at " + std::to_string(first_position));
  }
  void tap(Side side, const PlacedTap& placed) override {
    const std::lock_guard lock(mutex_);
    indices[side].push_back(placed.index);
    n_tokens.insert(placed.n_tokens());
    if (throws_at == "tap") throw FakeFailure("observer failed at tap");
  }
  void end(Side side) override { add("end", side == Side::engine ? "engine" : "other"); }
  void rows(const RowBlock& block) override {
    add("rows", std::to_string(block.n_rows()) + " at " + std::to_string(block.first_position));
  }
  void abort() override { ++n_aborts; }

  std::map<Side, std::vector<int>> indices;
  std::set<int> n_tokens;
  std::atomic<int> n_aborts = 0;

 private:
  void add(const std::string& what, const std::string& detail) {
    log_.add(what + " " + detail);
    if (throws_at == what) throw FakeFailure("observer failed at " + what);
  }
  CallLog& log_;
  std::mutex mutex_;
};

struct Stage {
  CallLog log;
  FakeEngine engine{"engine", log}, backend{"backend", log};
  LogObserver observer{log};
  NoProgress progress;
  Steps steps{.prompt = {1, 2, 3}};

  std::vector<TokenId> run(Look look = Look::no) {
    const Participant sides[] = {{Side::backend, backend, look}, {Side::engine, engine, look}};
    Observer* const observers[] = {&observer};
    return drive(sides, steps, observers, progress);
  }
};

TEST(Drive, OneEvalOfThePromptThenRowsOfBothSidesThenOneEvalAnId) {
  Stage stage;
  stage.steps.n_decode = 1;
  EXPECT_EQ(stage.run(), (std::vector<TokenId>{1, 2, 3, 4}));
  EXPECT_EQ(stage.log.calls(),
            (Calls{"begin 3 at 0", "backend: eval 3", "end other", "engine: eval 3", "end engine",
                   "backend: read 0+3", "engine: read 0+3", "rows 3 at 0",  //
                   "begin 1 at 3", "backend: eval 1", "end other", "engine: eval 1", "end engine",
                   "backend: read 0+1", "engine: read 0+1", "rows 1 at 3"}));
}

TEST(Drive, LeavesResettingToWhoOpensTheEngines) {
  Stage stage;
  stage.run();
  for (const std::string& call : stage.log.calls()) {
    EXPECT_EQ(call.find("reset"), std::string::npos);
  }
}

TEST(Drive, TheChooserDecidesWhatIsDecoded) {
  Stage stage;
  FakeEngine other("other", stage.log, 4);  // wraps around: 3 -> 0
  const Participant alone{Side::engine, other};
  stage.steps.n_decode = 2;
  stage.steps.chooser = Side::engine;
  EXPECT_EQ(drive({&alone, 1}, stage.steps, {}, stage.progress),
            (std::vector<TokenId>{1, 2, 3, 0, 1}));
}

TEST(Drive, GivenIdsAreTakenInsteadOfTheChoice) {
  Stage stage;
  stage.steps.n_decode = 2;
  stage.steps.decode_ids = {7, 0};
  EXPECT_EQ(stage.run(), (std::vector<TokenId>{1, 2, 3, 7, 0}));
}

TEST(Drive, ThePromptCanBeCutIntoPieces) {
  Stage stage;
  stage.steps.n_at_a_time = 2;
  stage.run();
  const Calls calls = stage.log.calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "backend: eval 2"), 1);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "backend: eval 1"), 1);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "rows 1 at 2"), 1);
}

TEST(Drive, RowsBeforeTheFirstAreNotReadButTheChoiceIsMade) {
  Stage stage;
  stage.steps.n_decode = 1;
  stage.steps.first_row = 3;
  EXPECT_EQ(stage.run(), (std::vector<TokenId>{1, 2, 3, 4}));
  const Calls calls = stage.log.calls();
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "backend: read 2+1"), 1);
  EXPECT_EQ(std::count_if(calls.begin(), calls.end(),
                          [](const std::string& call) { return call.starts_with("rows"); }),
            1);
  EXPECT_EQ(std::count(calls.begin(), calls.end(), "rows 1 at 3"), 1);
}

TEST(Drive, LongPromptsComeInBlocksOfFewRows) {
  CallLog log;
  constexpr int n_vocab = 1 << 22;  // 16 MiB a row
  FakeEngine engine("engine", log, n_vocab);
  struct Blocks : Observer {
    std::vector<int> sizes;
    int next = 0;
    bool right = true;
    void rows(const RowBlock& block) override {
      sizes.push_back(block.n_rows());
      for (int i = 0; i < block.n_rows(); ++i, ++next) {
        right = right && block.first_position + i == next && block.ids[i] == next &&
                greedy_choice(block.row(Side::engine, i)) == next + 1 &&
                block.row(Side::backend, i).empty();
      }
    }
  } blocks;
  Steps steps{.prompt = {0, 1, 2, 3, 4, 5}, .chooser = Side::engine};
  const Participant alone{Side::engine, engine};
  Observer* const observers[] = {&blocks};
  NoProgress progress;
  drive({&alone, 1}, steps, observers, progress);
  EXPECT_EQ(blocks.sizes, (std::vector<int>{4, 2}));
  EXPECT_TRUE(blocks.right);
}

TEST(Drive, ASideThatGivesItsLikeliestTokensIsReadAndChooses) {
  CallLog log;
  FakeEngine backend("backend", log, 0), engine("engine", log);  // a server tells no vocabulary
  backend.gives_tops = true;
  struct Seen : Observer {
    int n = 0;
    bool right = true;
    void rows(const RowBlock& block) override {
      for (int i = 0; i < block.n_rows(); ++i, ++n) {
        const TopRow* top = block.top(Side::backend, i);
        right = right && top != nullptr && top->front().token == block.ids[i] + 1 &&
                block.row(Side::backend, i).empty() && block.top(Side::engine, i) == nullptr &&
                greedy_choice(block.row(Side::engine, i)) == block.ids[i] + 1;
      }
    }
  } seen;
  const Participant sides[] = {{Side::backend, backend}, {Side::engine, engine}};
  Observer* const observers[] = {&seen};
  NoProgress progress;
  const Steps steps{.prompt = {1, 2, 3}, .n_decode = 2};
  EXPECT_EQ(drive(sides, steps, observers, progress), (std::vector<TokenId>{1, 2, 3, 4, 5}));
  EXPECT_EQ(seen.n, 5);
  EXPECT_TRUE(seen.right);
}

TEST(Drive, TensorsOfBothSidesComeBeforeTheRowsNumberedThroughTheRun) {
  Stage stage;
  stage.engine.n_taps = 2;
  stage.backend.n_taps = 3;
  stage.steps.n_decode = 1;
  stage.run(Look::tensors);
  EXPECT_EQ(stage.observer.indices[Side::backend], (std::vector<int>{0, 1, 2, 3, 4, 5}));
  EXPECT_EQ(stage.observer.indices[Side::engine], (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(stage.observer.n_tokens, (std::set<int>{1, 3}));
  const Calls calls = stage.log.calls();
  const auto at = [&](const char* call) {
    return std::find(calls.begin(), calls.end(), call) - calls.begin();
  };
  EXPECT_LT(at("backend: tap 2"), at("rows 3 at 0"));
  EXPECT_LT(at("engine: tap 1"), at("rows 3 at 0"));
}

TEST(Drive, ASideThatShowsNoTensorsIsEvaluatedAsEver) {
  Stage stage;
  stage.backend.n_taps = 1;
  stage.run(Look::tensors);
  EXPECT_EQ(stage.observer.indices.count(Side::engine), 0u);
  EXPECT_EQ(stage.observer.indices[Side::backend].size(), 1u);
}

TEST(Drive, OnlyTheEvalsAskedForShowTensors) {
  Stage stage;
  stage.backend.n_taps = 1;
  stage.steps.n_decode = 2;
  stage.steps.shows_tensors = [](int first_position, int) { return first_position == 3; };
  stage.run(Look::tensors);
  EXPECT_EQ(stage.observer.indices[Side::backend].size(), 1u);
}

// Both run at the same time: the one that waits must come back when the other fails.
TEST(Drive, AFailingSideWakesTheOneThatWaits) {
  for (const bool backend_fails : {true, false}) {
    CallLog log;
    FakeEngine engine("engine", log), backend("backend", log);
    struct Waiting : Observer {
      std::mutex mutex;
      std::condition_variable changed;
      bool aborted = false;
      Side waits;
      void tap(Side side, const PlacedTap&) override {
        if (side != waits) return;
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return aborted; });
        throw std::runtime_error("only the other's failure");
      }
      void abort() override {
        const std::lock_guard lock(mutex);
        aborted = true;
        changed.notify_all();
      }
    } waiting;
    waiting.waits = backend_fails ? Side::engine : Side::backend;
    engine.n_taps = backend.n_taps = 2;
    (backend_fails ? backend : engine).fails_at = "tap 1";
    const Participant sides[] = {{Side::backend, backend, Look::tensors},
                                 {Side::engine, engine, Look::tensors}};
    Observer* const observers[] = {&waiting};
    NoProgress progress;
    const Steps steps{.prompt = {1}};
    EXPECT_THROW(drive(sides, steps, observers, progress), FakeFailure);
  }
}

TEST(Drive, EitherSidesFailureAtEachStepComesOutAndObserversHearOfIt) {
  for (const char* call : {"eval 3", "eval 1", "tap 0", "tap 1"}) {
    for (const bool backend_fails : {true, false}) {
      for (const bool at_once : {true, false}) {
        Stage stage;
        stage.engine.n_taps = stage.backend.n_taps = 2;
        (backend_fails ? stage.backend : stage.engine).fails_at = call;
        stage.steps.n_decode = 1;
        stage.steps.at_once = at_once;
        const bool tapped = std::string(call).starts_with("tap");
        EXPECT_THROW(stage.run(tapped ? Look::tensors : Look::no), FakeFailure) << call;
        EXPECT_EQ(stage.observer.n_aborts, 1) << call;
      }
    }
  }
  for (const bool backend_fails : {true, false}) {
    Stage stage;
    (backend_fails ? stage.backend : stage.engine).fails_at = "read 0+3";
    EXPECT_THROW(stage.run(), FakeFailure);
  }
}

TEST(Drive, WhatAnObserverThrowsEndsTheRun) {
  for (const char* where : {"begin", "tap", "end", "rows"}) {
    Stage stage;
    stage.engine.n_taps = stage.backend.n_taps = 2;
    stage.observer.throws_at = where;
    stage.steps.n_decode = 3;
    EXPECT_THROW(stage.run(Look::tensors), FakeFailure) << where;
    const Calls calls = stage.log.calls();
    EXPECT_EQ(std::count(calls.begin(), calls.end(), "begin 1 at 3"), 0) << where;
  }
}

// As main does it: the handler ends the program by the signal, wherever the loop is.
TEST(DriveDeathTest, CtrlCEndsTheProgramInTheMiddleOfAnEval) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        std::signal(SIGINT, SIG_DFL);
        Stage stage;
        stage.backend.n_taps = 2;
        stage.backend.before_tap = [](int tap) {
          if (tap == 1) std::raise(SIGINT);
        };
        stage.run(Look::tensors);
      },
      testing::KilledBySignal(SIGINT), "");
}

TEST(GreedyChoice, TheFirstOfTheLargestAndNeverNaN) {
  constexpr float nan = std::numeric_limits<float>::quiet_NaN();
  const auto choice = [](std::vector<float> row) { return greedy_choice(row); };
  EXPECT_EQ(choice({1, 3, 3, 2}), 1);
  EXPECT_EQ(choice({nan, -1, -2}), 1);
  EXPECT_EQ(choice({5, nan, 4}), 0);
  EXPECT_EQ(choice({nan, nan}), 0);
  EXPECT_EQ(choice({-INFINITY, -INFINITY}), 0);
}

}  // namespace
}  // namespace crossval
