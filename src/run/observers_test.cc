#include "run/observers.h"

#include <gtest/gtest.h>

#include <cstring>
#include <stdexcept>

#include "run/fake_engine.h"

namespace crossval {
namespace {

// An engine that shows one tensor a layer and may fail at one.
class ScriptedEngine : public FakeEngine {
 public:
  ScriptedEngine(CallLog& log, int fails_at_layer)
      : FakeEngine("scripted", log), fails_at_layer_(fails_at_layer) {
    n_taps = 20;
  }
  void eval_with_taps(std::span<const TokenId> ids, const TapFilter&,
                      const TapSink& sink) override {
    eval(ids);
    for (int layer = 0; layer < n_taps; ++layer) {
      if (layer == fails_at_layer_) throw std::out_of_range("layer is gone");
      Tap tap;
      tap.name = "l_out-" + std::to_string(layer);
      tap.layer = layer;
      tap.op = "ADD";
      tap.out.ne = {2, 1, 1, 1};
      const float values[] = {1, 2};
      tap.out.data.own().resize(sizeof values);
      std::memcpy(tap.out.data.own().data(), values, sizeof values);
      sink(std::move(tap));
    }
  }

 private:
  int fails_at_layer_;
};

void evaluate_paired(Engine& engine, Engine& backend, TapPairing& pairing) {
  const Participant sides[] = {{Side::backend, backend, Look::tensors},
                               {Side::engine, engine, Look::tensors}};
  TapPairs pairs(pairing);
  Observer* const observers[] = {&pairs};
  NoProgress progress;
  const Steps steps{.prompt = {1}};
  drive(sides, steps, observers, progress);
}

TEST(TapPairs, OneSidesErrorEndsBothAndIsTheOneThrown) {
  CallLog log;
  for (const auto& [engine_fails, backend_fails] : {std::pair{3, -1}, {-1, 3}, {0, -1}}) {
    ScriptedEngine engine(log, engine_fails), backend(log, backend_fails);
    TapPairing pairing;
    EXPECT_THROW(evaluate_paired(engine, backend, pairing), std::out_of_range);
  }
  ScriptedEngine engine(log, -1), backend(log, -1);
  TapPairing pairing;
  evaluate_paired(engine, backend, pairing);
  const PairedTaps found = pairing.finish();
  ASSERT_EQ(found.pairs.size(), 20u);
  // The distance of a pair belongs to the backend's taps of these numbers.
  EXPECT_EQ(found.pairs[3].backend_indices, std::vector<int>{3});
}

TEST(RowComparison, MarksWhatIsDecodedAndPassesOverWhatIsNotCompared) {
  CallLog log;
  FakeEngine engine("engine", log), backend("backend", log);
  ThreadPool pool(1);
  RowComparison rows(all_metrics(),
                     {.n_prompt = 3,
                      .first_compared = 1,
                      .piece = [](TokenId id) { return "<" + std::to_string(id) + ">"; }},
                     pool);
  const Participant sides[] = {{Side::backend, backend}, {Side::engine, engine}};
  Observer* const observers[] = {&rows};
  NoProgress progress;
  const Steps steps{.prompt = {1, 2, 3}, .n_decode = 1};
  drive(sides, steps, observers, progress);
  const auto& positions = rows.comparison().positions();
  ASSERT_EQ(positions.size(), 3u);
  EXPECT_EQ(positions[0].index, 1);
  EXPECT_EQ(positions[0].token.text, "<2>");
  EXPECT_EQ(positions[1].phase, Phase::prompt);
  EXPECT_EQ(positions[2].phase, Phase::decode);
  EXPECT_EQ(positions[2].token.id, 4);
  for (const ComparedPosition& position : positions) EXPECT_EQ(position.metrics.l2, 0.0);
}

}  // namespace
}  // namespace crossval
