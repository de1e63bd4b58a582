#include "engine/placed_tap.h"

#include <gtest/gtest.h>

namespace crossval {
namespace {

Tap tap(const std::string& name, int layer = -1) {
  Tap out;
  out.name = name;
  out.op = "ADD";
  out.layer = layer;
  return out;
}

// The look-up of ids, with which every graph begins.
Tap look_up(int64_t n_ids) {
  Tap out = tap("embd");
  out.op = "GET_ROWS";
  out.sources.resize(1);
  out.sources[0].name = "token_embd.weight";
  out.out.ne = {4, n_ids, 1, 1};
  return out;
}

std::vector<TokenId> ids_of(const PlacedTap& placed) {
  return {placed.ids.begin(), placed.ids.end()};
}

TEST(TapPlacer, NumbersRunOnOverEvalsAndGraphs) {
  TapPlacer placer;
  placer.begin_eval(std::vector<TokenId>{5, 6, 7});
  EXPECT_EQ(ids_of(placer.place(look_up(2))), (std::vector<TokenId>{5, 6}));
  EXPECT_EQ(placer.place(tap("l_out-0", 0)).graph, 0);
  const PlacedTap second = placer.place(look_up(1));
  EXPECT_EQ(ids_of(second), (std::vector<TokenId>{7}));
  EXPECT_EQ(second.tap.first_position, 2);
  EXPECT_EQ(second.graph, 1);
  placer.begin_eval(std::vector<TokenId>{8});
  const PlacedTap next = placer.place(look_up(1));
  EXPECT_EQ(next.index, 3);
  EXPECT_EQ(next.graph, 2);
  EXPECT_EQ(next.n_tokens(), 1);
}

TEST(TapPlacer, NodesWithoutANameBelongToTheLayerAround) {
  TapPlacer placer;
  placer.begin_eval(std::vector<TokenId>{1});
  EXPECT_EQ(placer.place(tap("node_3")).tap.layer, -1);
  EXPECT_EQ(placer.place(tap("Qcur-4", 4)).tap.layer, 4);
  EXPECT_EQ(placer.place(tap("node_9")).tap.layer, 4);
  EXPECT_EQ(placer.place(tap("result_norm")).tap.layer, -1);
}

TEST(TapData, CopiesShareTheirBytesUntilOneWrites) {
  TapData a(std::vector<std::byte>(8));
  TapData b = a;
  EXPECT_EQ(a.data(), b.data());
  EXPECT_EQ(a.floats(GgmlType::F32).data(), b.floats(GgmlType::F32).data());
  b.own()[0] = std::byte{1};
  EXPECT_NE(a.data(), b.data());
  EXPECT_FALSE(a == b);
  EXPECT_EQ(a.floats(GgmlType::F16).size(), 4u);
  EXPECT_EQ(a.floats(GgmlType::F16).data(), a.floats(GgmlType::F16).data());  // made once
  EXPECT_TRUE(a.floats(GgmlType::I32).empty());
  EXPECT_TRUE(TapData().floats(GgmlType::F32).empty());
}

}  // namespace
}  // namespace crossval
