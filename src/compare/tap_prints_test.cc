#include "compare/tap_prints.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace crossval {
namespace {

Tap make_tap(const std::string& name, const std::string& op, std::array<int64_t, 4> ne,
             const std::vector<float>& values, int first_position = 0) {
  Tap tap;
  tap.name = name;
  tap.op = op;
  tap.layer = name.empty() ? -1 : 0;
  tap.first_position = first_position;
  tap.out.ne = ne;
  tap.out.data.own().resize(values.size() * sizeof(float));
  std::memcpy(tap.out.data.own().data(), values.data(), tap.out.data.size());
  return tap;
}

// One run's taps, all of graphs of `n_tokens` ids.
TapPrints prints_of(const std::vector<Tap>& taps, int n_tokens) {
  TapPrinter printer;
  TapPrints prints;
  for (const Tap& tap : taps) {
    if (const auto print = printer.print(tap, n_tokens)) prints.add(*print);
  }
  return prints;
}

TEST(TapPrints, CutRunsAreComparedByPosition) {
  const TapPrints whole =
      prints_of({make_tap("Vcur-0", "MUL_MAT", {2, 3, 1, 1}, {1, 2, 3, 4, 5, 6})}, 3);
  TapPrinter printer;
  const TapPrints::Likeness cut = {.same_graph = true, .same_pieces = false};
  const auto first = printer.print(make_tap("Vcur-0", "MUL_MAT", {2, 2, 1, 1}, {1, 2, 3, 4}), 2);
  EXPECT_TRUE(whole.match(*first, cut).has_partner);
  EXPECT_EQ(whole.match(*first, cut).first_different, -1);
  const auto last = printer.print(make_tap("Vcur-0", "MUL_MAT", {2, 1, 1, 1}, {5, -6}, 2), 1);
  EXPECT_EQ(whole.match(*last, cut).first_different, 2);
}

// [cells, ids, heads]: what lies behind a row's own position is masked, and the number of cells is
// the cache's.
TEST(TapPrints, MaskedScoresDoNotCount) {
  const auto scores = [](float masked) {
    return make_tap("kq-0", "MUL_MAT", {2, 2, 2, 1}, {1, masked, 2, 3, 4, masked, 5, 6});
  };
  const TapPrints run = prints_of({scores(0)}, 2);
  TapPrinter printer;
  const auto same = printer.print(scores(7), 2);
  EXPECT_EQ(run.match(*same, {}).first_different, -1);
  EXPECT_FALSE(run.match(*same, {.same_graph = true, .same_pieces = false}).has_partner);
  Tap other = scores(0);
  other.out.data.own()[0] = std::byte{1};
  EXPECT_EQ(run.match(*TapPrinter().print(other, 2), {}).first_different, 0);

  const TapPrints weights =
      prints_of({make_tap("kq_soft_max-0", "SOFT_MAX", {2, 1, 1, 1}, {.25f, .75f})}, 1);
  const auto more_cells = TapPrinter().print(
      make_tap("kq_soft_max-0", "SOFT_MAX", {4, 1, 1, 1}, {.25f, .75f, 0, 0}), 1);
  EXPECT_EQ(weights.match(*more_cells, {}).first_different, -1);
}

TEST(TapPrints, TheSignOfOneZeroCounts) {
  const TapPrints run = prints_of({make_tap("l_out-0", "ADD", {2, 1, 1, 1}, {0.0f, 1})}, 1);
  const auto other = TapPrinter().print(make_tap("l_out-0", "ADD", {2, 1, 1, 1}, {-0.0f, 1}), 1);
  EXPECT_EQ(run.match(*other, {}).first_different, 0);
}

TEST(TapPrints, TensorsWithoutANameArePairedInTheSameGraphOnly) {
  const std::vector<Tap> taps = {make_tap("", "FLASH_ATTN_EXT", {1, 1, 1, 1}, {1}),
                                 make_tap("node_7", "FLASH_ATTN_EXT", {1, 1, 1, 1}, {2})};
  const TapPrints run = prints_of(taps, 1);
  TapPrinter printer;
  EXPECT_EQ(run.match(*printer.print(taps[0], 1), {}).first_different, -1);
  const auto second = printer.print(make_tap("node_9", "FLASH_ATTN_EXT", {1, 1, 1, 1}, {3}), 1);
  EXPECT_EQ(run.match(*second, {}).first_different, 0);
  EXPECT_EQ(run.match(*second, {}).order, 1);
  EXPECT_FALSE(run.match(*second, {.same_graph = false, .same_pieces = true}).has_partner);
  EXPECT_FALSE(printer.print(make_tap("cache_k_l0", "CPY", {1, 1, 1, 1}, {1}), 1).has_value());
}

}  // namespace
}  // namespace crossval
