// Two runs that choose experts: what is a tie by rounding, and what is none.
#include "compare/routing.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace crossval {
namespace {

constexpr int64_t kExperts = 4;

Tap probabilities(int layer, const std::vector<float>& values,
                  const std::string& stem = "ffn_moe_probs-") {
  Tap tap;
  tap.name = stem + std::to_string(layer);
  tap.op = "SOFT_MAX";
  tap.layer = layer;
  tap.out.ne = {kExperts, static_cast<int64_t>(values.size()) / kExperts, 1, 1};
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  tap.out.data = TapData(std::move(bytes));
  return tap;
}

// Three tokens; `third` is the last one's probabilities.
std::vector<float> three(float shift, std::vector<float> third) {
  std::vector<float> values = {0.4f + shift, 0.3f, 0.2f, 0.1f, 0.1f, 0.2f, 0.3f, 0.4f + shift};
  values.insert(values.end(), third.begin(), third.end());
  return values;
}

std::vector<RoutingTie> ties(const std::vector<float>& engine, const std::vector<float>& backend,
                             const std::string& also = "") {
  RoutingTies routing(2);
  routing.add(Side::engine, probabilities(5, engine), 3);
  routing.add(Side::backend, probabilities(5, backend), 3);
  if (!also.empty()) routing.add(Side::backend, probabilities(5, backend, also), 3);
  return routing.finish();
}

TEST(Routing, TiesAreWhereTheSidesChooseApart) {
  const auto found =
      ties(three(0, {0.5f, 0.2001f, 0.2f, 0.1f}), three(0.0002f, {0.5f, 0.1999f, 0.2f, 0.1f}));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].position, 2);
  EXPECT_EQ(found[0].layer, 5);
  EXPECT_EQ(found[0].engine_expert, 1);
  EXPECT_EQ(found[0].backend_expert, 2);
  EXPECT_EQ(found[0].engine_probability, 0.1999f);
  EXPECT_EQ(found[0].other_probability, 0.2f);
}

TEST(Routing, TheSameChoiceInAnotherOrderIsNone) {
  EXPECT_TRUE(
      ties(three(0, {0.3001f, 0.3f, 0.2f, 0.1f}), three(0, {0.3f, 0.3001f, 0.2f, 0.1f})).empty());
}

TEST(Routing, ATokenThatIsFartherApartThanTheOthersIsNoTie) {
  EXPECT_TRUE(
      ties(three(0, {0.5f, 0.3f, 0.1f, 0.1f}), three(0.0002f, {0.5f, 0.1f, 0.3f, 0.1f})).empty());
}

TEST(Routing, OfARouterThatChoosesOtherwiseNothingIsSaid) {
  EXPECT_TRUE(ties(three(0, {0.5f, 0.2001f, 0.2f, 0.1f}),
                   three(0.0002f, {0.5f, 0.1999f, 0.2f, 0.1f}), "ffn_moe_probs_biased-")
                  .empty());
}

}  // namespace
}  // namespace crossval
