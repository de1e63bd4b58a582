#include "text/token_search.h"

#include <gtest/gtest.h>

namespace crossval {
namespace {

std::vector<int32_t> ids_of(const TokenSearch& search, std::string_view text) {
  std::vector<TokenSearch::Match> matches;
  search.prefixes_of(text, matches);
  std::vector<int32_t> ids;
  ids.reserve(matches.size());
  for (const auto& match : matches) ids.push_back(match.id);
  return ids;
}

TEST(TokenSearch, ShortestFirst) {
  const TokenSearch search({{"abc", 0}, {"a", 1}, {"ab\xff", 2}, {"b", 3}, {"", 4}, {"ab", 5}});
  EXPECT_EQ(ids_of(search, "abcd"), (std::vector<int32_t>{1, 5, 0}));
  EXPECT_EQ(ids_of(search, "ab\xff"), (std::vector<int32_t>{1, 5, 2}));
  EXPECT_EQ(ids_of(search, "c"), std::vector<int32_t>{});
  EXPECT_EQ(ids_of(search, ""), std::vector<int32_t>{});
  EXPECT_TRUE(search.any_begins_with('b'));
  EXPECT_FALSE(search.any_begins_with('c'));
  EXPECT_FALSE(TokenSearch().any_begins_with('c'));
}

TEST(TokenSearch, LaterOfTwoEqual) {
  EXPECT_EQ(ids_of(TokenSearch({{"a", 7}, {"a", 9}, {"a", 8}}), "a"), std::vector<int32_t>{9});
}

}  // namespace
}  // namespace crossval
