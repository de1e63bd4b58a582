#include "engine/tap.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace crossval {
namespace {

TEST(TapFilter, WantsEverythingByDefault) {
  EXPECT_TRUE(TapFilter().wants("embd", -1));
  EXPECT_TRUE(TapFilter().wants("", 7));
}

TEST(TapFilter, SearchesTheExpressionInTheName) {
  const TapFilter filter{.name_regex = "cur-[01]$"};
  EXPECT_TRUE(filter.wants("Qcur-1", 1));
  EXPECT_FALSE(filter.wants("Qcur-11", 11));
  EXPECT_FALSE(filter.wants("ffn_out-1", 1));
  TapFilter changed = filter;
  changed.name_regex = "ffn";
  EXPECT_EQ(changed.name_regex.text(), "ffn");
  EXPECT_TRUE(changed.wants("ffn_out-1", 1));
  EXPECT_FALSE(filter.wants("ffn_out-1", 1));
}

TEST(TapFilter, BoundsLayersInclusivelyAndLeavesOutWhatHasNone) {
  const TapFilter both{.first_layer = 2, .last_layer = 3};
  EXPECT_FALSE(both.wants("x", 1));
  EXPECT_TRUE(both.wants("x", 2));
  EXPECT_TRUE(both.wants("x", 3));
  EXPECT_FALSE(both.wants("x", 4));
  EXPECT_FALSE(both.wants("embd", -1));
  EXPECT_FALSE(TapFilter{.last_layer = 3}.wants("embd", -1));
  EXPECT_FALSE(TapFilter{.first_layer = 0}.wants("embd", -1));
  EXPECT_TRUE(TapFilter{.first_layer = 3}.wants("x", 99));
}

TEST(TapFilter, AnExpressionThatIsNoneIsBadInputOfItsFlag) {
  for (const std::string text : {"(", "[a", "*", "a{99999999}"}) {
    try {
      TapFilter filter;
      filter.name_regex = text;
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.status, Status::bad_input);
      EXPECT_EQ(error.where, "--taps");
    }
  }
  EXPECT_THROW(TapRegex(std::string(100'000, '(')), Error);
}

}  // namespace
}  // namespace crossval
