#include "verdict/vote.h"

#include <gtest/gtest.h>

namespace crossval {
namespace {

constexpr Status kYes = Status::agree, kNo = Status::diverged, kOtherIds = Status::token_mismatch,
                 kFailed = Status::backend_failed;

TEST(Vote, TheOneThatDiffersFromAllWhoAgree) {
  const std::vector<std::string> names = {"native", "bitnet.cpp", "llama.cpp"};
  const PairOutcome outcomes[] = {{0, 1, kYes}, {0, 2, kNo}, {1, 2, kOtherIds}};
  const std::optional<Vote> got = vote(names, outcomes);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->outlier, "llama.cpp");
  EXPECT_EQ(got->agreeing, (std::vector<std::string>{"native", "bitnet.cpp"}));
  EXPECT_EQ(got->reason,
            "llama.cpp differs from native and bitnet.cpp, which agree with one another");
  // Our own engine can be the wrong one.
  const PairOutcome ours[] = {{0, 1, kNo}, {0, 2, kNo}, {1, 2, kYes}};
  EXPECT_EQ(vote(names, ours)->outlier, "native");
}

TEST(Vote, NobodyWhenItIsNotClear) {
  const std::vector<std::string> names = {"a", "b", "c"};
  const std::vector<std::vector<PairOutcome>> unclear = {
      {{0, 1, kYes}, {0, 2, kYes}, {1, 2, kYes}},       // all agree
      {{0, 1, kNo}, {0, 2, kNo}, {1, 2, kNo}},          // nobody agrees
      {{0, 1, kYes}, {0, 2, kYes}, {1, 2, kNo}},        // agreement that is not transitive
      {{0, 1, kYes}, {0, 2, kFailed}, {1, 2, kNo}},     // one comparison is missing
      {{0, 1, kNo}, {0, 2, kFailed}, {1, 2, kFailed}},  // two are left
  };
  for (const auto& outcomes : unclear) EXPECT_FALSE(vote(names, outcomes));
  EXPECT_FALSE(vote({"a", "b"}, std::vector<PairOutcome>{{0, 1, kNo}}));
}

TEST(Vote, AnEngineThatCouldNotRunDoesNotStopTheOthers) {
  const std::vector<std::string> names = {"a", "b", "broken", "d"};
  const PairOutcome outcomes[] = {{0, 1, kNo},     {0, 2, kFailed}, {0, 3, kYes},
                                  {1, 2, kFailed}, {1, 3, kNo},     {2, 3, kFailed}};
  const std::optional<Vote> got = vote(names, outcomes);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->outlier, "b");
  EXPECT_EQ(got->agreeing, (std::vector<std::string>{"a", "d"}));
}

TEST(Vote, TwoAgainstTwoIsNoOutlier) {
  const PairOutcome outcomes[] = {{0, 1, kYes}, {0, 2, kNo}, {0, 3, kNo},
                                  {1, 2, kNo},  {1, 3, kNo}, {2, 3, kYes}};
  EXPECT_FALSE(vote({"a", "b", "c", "d"}, outcomes));
}

}  // namespace
}  // namespace crossval
