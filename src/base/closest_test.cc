#include "base/closest.h"

#include <gtest/gtest.h>

#include <vector>

namespace crossval {
namespace {

TEST(ClosestWord, FindsSlipsAndNothingElse) {
  const std::vector<std::string> words = {"per-token", "trace", "trace-diff", "run", "llama", "ik"};
  EXPECT_EQ(closest_word("pertoken", words), "per-token");
  EXPECT_EQ(closest_word("tarce", words), "trace");  // two letters exchanged
  EXPECT_EQ(closest_word("lama", words), "llama");
  EXPECT_EQ(closest_word("trace", words), "trace");
  EXPECT_EQ(closest_word("gpt", words), "");
  EXPECT_EQ(closest_word("", words), "");
  EXPECT_EQ(closest_word(std::string(100000, 'a'), words), "");
  EXPECT_EQ(closest_word("x", {}), "");
}

}  // namespace
}  // namespace crossval
