#include "native/routing_log.h"

#include <gtest/gtest.h>

namespace crossval {
namespace {

using Choices = std::vector<RoutingChoice>;

std::vector<std::pair<int, int>> places(const RoutingLog& base, const RoutingLog& other) {
  std::vector<std::pair<int, int>> out;
  for (const NarrowChoice& one : narrow_choices(base, other)) {
    out.emplace_back(one.position, one.layer);
  }
  return out;
}

TEST(Routing, ChoicesWithinWhatRoundingMovesMarginsByAreNarrow) {
  RoutingLog base, other;
  base.keep(0, 0, Choices{{1.0f, 3}, {0.2f, 5}, {2.0f, 1}, {0.05f, 2}});
  other.keep(0, 0, Choices{{1.1f, 3}, {0.1f, 5}, {1.9f, 1}, {0.15f, 2}});
  EXPECT_EQ(places(base, other), (std::vector<std::pair<int, int>>{{1, 0}, {3, 0}}));
}

TEST(Routing, WhatATippedTokenDoesLaterIsNoMeasureOfRounding) {
  RoutingLog base, other;
  base.keep(0, 0, Choices{{1.0f, 3}, {0.2f, 5}, {2.0f, 1}});
  other.keep(0, 0, Choices{{1.1f, 3}, {0.1f, 6}, {1.9f, 1}});
  // The second token's margin moves by 5 here, because it came another way.
  base.keep(2, 0, Choices{{1.0f, 3}, {0.1f, 9}, {0.25f, 1}});
  other.keep(2, 0, Choices{{1.1f, 3}, {5.1f, 9}, {0.35f, 1}});
  EXPECT_EQ(places(base, other), (std::vector<std::pair<int, int>>{{1, 2}, {1, 0}, {2, 2}}));
}

TEST(Routing, PositionsComeInParts) {
  RoutingLog base, other;
  base.keep(0, 0, Choices{{1.0f, 3}, {2.0f, 1}});
  base.keep(0, 2, Choices{{0.2f, 5}});
  other.keep(0, 0, Choices{{1.1f, 3}, {1.9f, 1}, {0.1f, 5}});
  EXPECT_EQ(places(base, other), (std::vector<std::pair<int, int>>{{2, 0}}));
}

TEST(Routing, EqualRunsTipNothingButTies) {
  RoutingLog base;
  base.keep(0, 0, Choices{{1e-9f, 3}, {0.0f, 1}});
  EXPECT_EQ(places(base, base), (std::vector<std::pair<int, int>>{{1, 0}}));
}

}  // namespace
}  // namespace crossval
