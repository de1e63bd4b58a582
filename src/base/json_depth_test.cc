// Depth is counted outside of strings.
#include "base/json_depth.h"

#include <gtest/gtest.h>

#include <string>

namespace crossval {
namespace {

TEST(JsonDepth, sixty_four_are_enough) {
  const auto nested = [](size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_FALSE(nests_too_deep(nested(kMaxJsonDepth)));
  EXPECT_TRUE(nests_too_deep(nested(kMaxJsonDepth + 1)));
  EXPECT_TRUE(nests_too_deep(std::string(1'000'000, '{')));
  EXPECT_FALSE(nests_too_deep("{\"a\": \"" + std::string(1000, '[') + "\\\"[[\"}"));
  EXPECT_FALSE(nests_too_deep(""));
  EXPECT_FALSE(nests_too_deep("\"\\"));
}

}  // namespace
}  // namespace crossval
