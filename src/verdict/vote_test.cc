#include "verdict/vote.h"

#include <gtest/gtest.h>

namespace crossval {
namespace {

constexpr Status yes = Status::agree, no = Status::diverged, other_ids = Status::token_mismatch,
                 failed = Status::backend_failed;

TEST(Vote, TheOneThatDiffersFromAllWhoAgree) {
  const std::vector<std::string> names = {"native", "bitnet.cpp", "llama.cpp"};
  const PairOutcome outcomes[] = {{0, 1, yes}, {0, 2, no}, {1, 2, other_ids}};
  const std::optional<Vote> got = vote(names, outcomes);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->outlier, "llama.cpp");
  EXPECT_EQ(got->agreeing, (std::vector<std::string>{"native", "bitnet.cpp"}));
  EXPECT_EQ(got->reason,
            "llama.cpp differs from native and bitnet.cpp, which agree with one another");
  // Our own engine can be the wrong one.
  const PairOutcome ours[] = {{0, 1, no}, {0, 2, no}, {1, 2, yes}};
  EXPECT_EQ(vote(names, ours)->outlier, "native");
}

TEST(Vote, NobodyWhenItIsNotClear) {
  const std::vector<std::string> names = {"a", "b", "c"};
  const std::vector<std::vector<PairOutcome>> unclear = {
      {{0, 1, yes}, {0, 2, yes}, {1, 2, yes}},       // all agree
      {{0, 1, no}, {0, 2, no}, {1, 2, no}},          // nobody agrees
      {{0, 1, yes}, {0, 2, yes}, {1, 2, no}},        // agreement that is not transitive
      {{0, 1, yes}, {0, 2, failed}, {1, 2, no}},     // one comparison is missing
      {{0, 1, no}, {0, 2, failed}, {1, 2, failed}},  // two are left
  };
  for (const auto& outcomes : unclear) EXPECT_FALSE(vote(names, outcomes));
  EXPECT_FALSE(vote({"a", "b"}, std::vector<PairOutcome>{{0, 1, no}}));
}

TEST(Vote, AnEngineThatCouldNotRunDoesNotStopTheOthers) {
  const std::vector<std::string> names = {"a", "b", "broken", "d"};
  const PairOutcome outcomes[] = {{0, 1, no},     {0, 2, failed}, {0, 3, yes},
                                  {1, 2, failed}, {1, 3, no},     {2, 3, failed}};
  const std::optional<Vote> got = vote(names, outcomes);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->outlier, "b");
  EXPECT_EQ(got->agreeing, (std::vector<std::string>{"a", "d"}));
}

TEST(Vote, TwoAgainstTwoIsNoOutlier) {
  const PairOutcome outcomes[] = {{0, 1, yes}, {0, 2, no}, {0, 3, no},
                                  {1, 2, no},  {1, 3, no}, {2, 3, yes}};
  EXPECT_FALSE(vote({"a", "b", "c", "d"}, outcomes));
}

}  // namespace
}  // namespace crossval
