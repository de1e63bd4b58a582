#include "compare/pair_taps.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

namespace crossval {
namespace {

constexpr auto kEngine = Side::engine, kBackend = Side::backend;

Tap make_tap(const std::string& stem, int layer, const std::string& op, std::vector<float> values,
             std::array<int64_t, 4> ne, int first_position = 0) {
  Tap tap;
  tap.name = layer < 0 ? stem : stem + "-" + std::to_string(layer);
  tap.layer = layer;
  tap.op = op;
  tap.first_position = first_position;
  tap.out.ne = ne;
  tap.out.data.own().resize(values.size() * sizeof(float));
  std::memcpy(tap.out.data.own().data(), values.data(), tap.out.data.size());
  return tap;
}

// Two values at each of the positions.
Tap rows_of_two(const std::string& stem, int layer, const std::string& op,
                std::vector<float> values, int first_position = 0) {
  const auto n = static_cast<int64_t>(values.size() / 2);
  return make_tap(stem, layer, op, std::move(values), {2, n, 1, 1}, first_position);
}

TapPairingOptions one_after_the_other() { return {.lockstep = false}; }

std::string key_text(const std::string& stem, const std::string& op) {
  const TapKey key = tap_key(make_tap(stem, 3, op, {1}, {1, 1, 1, 1}));
  return key.stem + "/" + key.family;
}

TEST(TapKey, IsTheSameForOneTensorUnderTwoNames) {
  EXPECT_EQ(key_text("kqv_out", "MUL_MAT"), key_text("attn_out", "MUL_MAT"));
  EXPECT_EQ(key_text("kqv_out", "ADD"), key_text("attn_out", "ADD"));
  EXPECT_EQ(key_text("attn_o_out", "MUL"), key_text("attn_out", "MUL_MAT"));
  EXPECT_EQ(key_text("kqv_merged_cont", "CONT"), key_text("kqv_out", "CONT"));
  EXPECT_EQ(key_text("ffn_gate_par", "MUL"), key_text("ffn_swiglu", "SWIGLU"));
  EXPECT_EQ(key_text("ffn_out", "FUSED_MUL_UNARY"), key_text("ffn_sub_out", "MUL"));
  EXPECT_EQ(key_text("attn_norm", "FUSED_RMS_NORM"), key_text("attn_norm", "MUL"));
}

TEST(TapKey, TellsApartStepsThatShareAName) {
  EXPECT_NE(key_text("Qcur", "MUL_MAT"), key_text("Qcur", "ROPE"));
  EXPECT_NE(key_text("Qcur", "MUL_MAT"), key_text("Qcur", "ADD"));
  EXPECT_NE(key_text("kqv_out", "CONT"), key_text("kqv_out", "MUL_MAT"));
  EXPECT_NE(key_text("ffn_out", "MUL_MAT"), key_text("ffn_gate_par", "MUL"));
}

TEST(TapPairing, PairsInWhateverOrderAndReportsInTheBackends) {
  TapPairing pairing(one_after_the_other());
  pairing.add(kEngine, rows_of_two("Kcur", 0, "ROPE", {1, 0, 0, 1}), 2);
  pairing.add(kEngine, rows_of_two("Kcur", 0, "MUL_MAT", {3, 4, 0, 10}), 2);
  pairing.add(kBackend, rows_of_two("Kcur", 0, "MUL_MAT", {3, 4, 0, 9}), 2);
  pairing.add(kBackend, rows_of_two("Kcur", 0, "RESHAPE", {3, 4, 0, 9}), 2);  // a view: no tensor
  pairing.add(kBackend, rows_of_two("Kcur", 0, "ROPE", {1, 0, 0, 1}), 2);
  const PairedTaps found = pairing.finish();
  ASSERT_EQ(found.pairs.size(), 2u);
  EXPECT_TRUE(found.unpaired.empty());
  const TapPair& product = found.pairs[0];
  EXPECT_EQ(product.name, "Kcur-0");
  EXPECT_EQ(product.op, "MUL_MAT");
  EXPECT_EQ(product.n_positions, 2);
  EXPECT_EQ(product.n_elements, 4);
  EXPECT_EQ(product.n_different, 1);
  EXPECT_DOUBLE_EQ(product.rel_l2, 1 / std::sqrt(25.0 + 81.0));
  EXPECT_EQ(product.max_abs, 1);
  EXPECT_EQ(product.worst_position, 1);
  EXPECT_DOUBLE_EQ(product.worst_row_rel_l2, 1.0 / 9);
  EXPECT_EQ(found.pairs[1].op, "ROPE");
  EXPECT_EQ(found.pairs[1].rel_l2, 0);
  EXPECT_EQ(found.pairs[1].worst_position, -1);
}

TEST(TapPairing, ReportsWhatHasNoPartner) {
  TapPairing pairing(one_after_the_other());
  pairing.add(kBackend, rows_of_two("norm", 0, "RMS_NORM", {1, 2}), 1);
  pairing.add(kEngine, rows_of_two("ffn_up", 0, "MUL_MAT", {1, 2}), 1);
  Tap empty = rows_of_two("ffn_out", 0, "MUL_MAT", {1, 2});
  empty.out.data = {};
  pairing.add(kBackend, empty, 1);
  pairing.add(kBackend, rows_of_two("node_12", -1, "ADD", {1, 2}), 1);  // no name: cannot pair
  const PairedTaps found = pairing.finish();
  EXPECT_TRUE(found.pairs.empty());
  ASSERT_EQ(found.unpaired.size(), 3u);
  EXPECT_EQ(found.unpaired[0].name, "ffn_up-0");
  EXPECT_EQ(found.unpaired[0].side, kEngine);
  EXPECT_EQ(found.unpaired[1].name, "norm-0");
  EXPECT_EQ(found.unpaired[1].reason, UnpairedTap::Reason::no_partner);
  EXPECT_EQ(found.unpaired[2].name, "ffn_out-0");
  EXPECT_EQ(found.unpaired[2].reason, UnpairedTap::Reason::no_values);
}

TEST(TapPairing, AnotherShapeIsData) {
  TapPairing pairing(one_after_the_other());
  pairing.add(kEngine, make_tap("Kcur", 0, "MUL_MAT", {1, 2, 3, 4}, {4, 1, 1, 1}), 1);
  pairing.add(kBackend, make_tap("Kcur", 0, "MUL_MAT", {1, 2}, {2, 1, 1, 1}), 1);
  const PairedTaps found = pairing.finish();
  ASSERT_EQ(found.pairs.size(), 1u);
  EXPECT_FALSE(found.pairs[0].same_shape);
  EXPECT_EQ(found.pairs[0].n_elements, 0);
  EXPECT_EQ(found.pairs[0].engine_ne[0], 4);
  EXPECT_EQ(found.pairs[0].backend_ne[0], 2);
}

TEST(TapPairing, CountsWhatIsNotFinite) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float inf = std::numeric_limits<float>::infinity();
  TapPairing pairing(one_after_the_other());
  pairing.add(kEngine, rows_of_two("a", 0, "MUL", {1, 9, nan, 2, 5, nan}), 3);
  pairing.add(kBackend, rows_of_two("a", 0, "MUL", {1, 2, nan, 2, inf, 7}), 3);
  pairing.add(kEngine, rows_of_two("zero", 0, "MUL", {1, 2}), 1);
  pairing.add(kBackend, rows_of_two("zero", 0, "MUL", {0, 0}), 1);
  const PairedTaps found = pairing.finish();
  ASSERT_EQ(found.pairs.size(), 2u);
  EXPECT_TRUE(std::isnan(found.pairs[0].rel_l2));
  EXPECT_EQ(found.pairs[0].n_non_finite_engine, 2);
  EXPECT_EQ(found.pairs[0].n_non_finite_backend, 2);
  EXPECT_EQ(found.pairs[0].n_different, 3);
  EXPECT_EQ(found.pairs[0].max_abs, 7);
  EXPECT_EQ(found.pairs[0].worst_position, 2);
  EXPECT_TRUE(std::isinf(found.pairs[1].rel_l2));
}

// Values that say where they are: 100 * position + 10 * head + dimension.
std::vector<float> heads_at(int first, int n_tokens, int n_heads, bool tokens_inside) {
  std::vector<float> values;
  for (int a = 0; a < (tokens_inside ? n_heads : n_tokens); ++a) {
    for (int b = 0; b < (tokens_inside ? n_tokens : n_heads); ++b) {
      const int token = first + (tokens_inside ? b : a), head = tokens_inside ? a : b;
      for (int i = 0; i < 2; ++i) values.push_back(static_cast<float>(100 * token + 10 * head + i));
    }
  }
  return values;
}

TEST(TapPairing, PairsAPromptThatWasCutByPosition) {
  for (const bool cut_first : {false, true}) {
    TapPairing pairing(one_after_the_other());
    const auto whole = [&](Side side) {
      pairing.add(side, make_tap("Qcur", 1, "ROPE", heads_at(0, 6, 3, false), {2, 3, 6, 1}), 6);
      pairing.add(side, make_tap("kqv", 1, "MUL_MAT", heads_at(0, 6, 3, true), {2, 6, 3, 1}), 6);
      pairing.done(side);
    };
    const auto pieces = [&](Side side) {
      for (const auto& [first, n] : {std::pair{0, 3}, {3, 2}, {5, 1}}) {
        std::vector<float> q = heads_at(first, n, 3, false);
        if (first == 3) q[7] += 5;  // position 4
        pairing.add(side, make_tap("Qcur", 1, "ROPE", q, {2, 3, n, 1}, first), n);
        pairing.add(side,
                    make_tap("kqv", 1, "MUL_MAT", heads_at(first, n, 3, true), {2, n, 3, 1}, first),
                    n);
        pairing.done(side);
      }
    };
    if (cut_first) pieces(kEngine);
    whole(kBackend);
    if (!cut_first) pieces(kEngine);
    const PairedTaps found = pairing.finish();
    EXPECT_TRUE(found.unpaired.empty());
    ASSERT_EQ(found.pairs.size(), 2u);
    for (const TapPair& pair : found.pairs) {
      EXPECT_TRUE(pair.same_shape) << pair.name;
      EXPECT_EQ(pair.n_positions, 6);
      EXPECT_EQ(pair.n_elements, 36);
    }
    EXPECT_EQ(found.pairs[0].n_different, 1);
    EXPECT_EQ(found.pairs[0].worst_position, 4);
    EXPECT_EQ(found.pairs[1].n_different, 0);
  }
}

TEST(TapPairing, DropsAndCountsWhatHasNoRoom) {
  TapPairing pairing({.lockstep = false, .max_pending_bytes = 20});
  for (int layer = 0; layer < 3; ++layer) {
    pairing.add(kEngine, rows_of_two("a", layer, "MUL", {1, 2}), 1);
  }
  pairing.add(kBackend, rows_of_two("a", 0, "MUL", {1, 2}), 1);
  const PairedTaps found = pairing.finish();
  EXPECT_EQ(found.pairs.size(), 1u);
  ASSERT_EQ(found.unpaired.size(), 2u);
  EXPECT_EQ(found.unpaired[1].reason, UnpairedTap::Reason::no_room);
  EXPECT_LE(found.peak_pending_bytes, 20);
}

constexpr int kLayers = 40, kTapsPerLayer = 5;

void run_layers(TapPairing& pairing, Side side, const std::string& prefix, bool slow) {
  for (int layer = 0; layer < kLayers; ++layer) {
    for (int i = 0; i < kTapsPerLayer; ++i) {
      pairing.add(side, rows_of_two(prefix + std::to_string(i), layer, "MUL", {1, 2}), 1);
    }
    if (slow) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  pairing.done(side);
}

TEST(TapPairing, TheSideThatIsAheadWaits) {
  TapPairing pairing;
  pairing.begin(kBackend);
  pairing.begin(kEngine);
  std::thread backend([&] { run_layers(pairing, kBackend, "a", true); });
  run_layers(pairing, kEngine, "a", false);
  backend.join();
  const PairedTaps found = pairing.finish();
  EXPECT_EQ(found.pairs.size(), size_t{kLayers * kTapsPerLayer});
  EXPECT_TRUE(found.unpaired.empty());
  // Two layers and a tap, of two values each.
  EXPECT_LE(found.peak_pending_bytes, (2 * kTapsPerLayer + 1) * 2 * 4);
}

TEST(TapPairing, NamesThatNeverMeetNeitherDeadlockNorPileUp) {
  TapPairing pairing;
  pairing.begin(kBackend);
  pairing.begin(kEngine);
  std::thread backend([&] { run_layers(pairing, kBackend, "a", true); });
  run_layers(pairing, kEngine, "b", false);
  backend.join();
  const PairedTaps found = pairing.finish();
  EXPECT_TRUE(found.pairs.empty());
  EXPECT_EQ(found.unpaired.size(), size_t{2 * kLayers * kTapsPerLayer});
  EXPECT_LE(found.peak_pending_bytes, 2 * (4 * kTapsPerLayer + 1) * 2 * 4);
}

TEST(TapPairing, ASideThatHasNoRoomWaitsForTheOther) {
  TapPairing pairing({.max_pending_bytes = 24});
  pairing.begin(kBackend);
  pairing.begin(kEngine);
  std::thread backend([&] {
    for (int i = 0; i < 50; ++i) {
      pairing.add(kBackend, rows_of_two("a", 0, "MUL", {1, 2}), 1);
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
    pairing.done(kBackend);
  });
  for (int i = 0; i < 50; ++i) pairing.add(kEngine, rows_of_two("a", 0, "MUL", {1, 2}), 1);
  pairing.done(kEngine);
  backend.join();
  const PairedTaps found = pairing.finish();
  EXPECT_EQ(found.pairs.size() * 2 + found.unpaired.size(), 100u);
  EXPECT_EQ(found.unpaired.size(), 0u);
}

}  // namespace
}  // namespace crossval
