#include "compare/tokens.h"

#include <gtest/gtest.h>

#include <map>

namespace crossval {
namespace {

// A made-up vocabulary: 1 BOS, 2 EOS, 3 <unk>, 4 <|im_start|>.
const std::map<TokenId, std::string>& vocabulary() {
  static const std::map<TokenId, std::string> pieces = {
      {1, "<s>"},       {2, "</s>"},        {3, "<unk>"}, {4, "<|im_start|>"}, {10, "the"},
      {11, " the"},     {12, "t"},          {13, "he"},   {14, " cat"},        {15, " "},
      {16, "cat"},      {17, "The"},        {18, "<|"},   {19, "im_start"},    {20, "|>"},
      {21, "\xC3\xA9"}, {22, "\xC3"},       {23, "\xA9"}, {24, "<0xC3>"},      {25, "<0xA9>"},
      {26, "dog"},      {27, "the"},        {28, "  "},   {29, "e\xCC\x81"},   {30, "e"},
      {31, " <"},       {32, "|im_start|>"}};
  return pieces;
}

std::optional<TokenMismatch> compare(std::vector<TokenId> e, std::vector<TokenId> b) {
  const auto piece = [](TokenId id) { return vocabulary().at(id); };
  return compare_tokens({e, piece}, {b, piece}, {1, 2});
}

struct Case {
  const char* rule;
  std::vector<TokenId> one, other;
  int index;
};

class Hints : public ::testing::TestWithParam<Case> {};

// Every rule is found whichever side it is on.
TEST_P(Hints, FromBothSides) {
  const Case& c = GetParam();
  for (const bool swapped : {false, true}) {
    const auto mismatch = swapped ? compare(c.other, c.one) : compare(c.one, c.other);
    ASSERT_TRUE(mismatch);
    EXPECT_EQ(mismatch->rule, c.rule);
    EXPECT_EQ(mismatch->index, c.index);
    EXPECT_FALSE(mismatch->hint.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Rules, Hints,
                         ::testing::Values(Case{"bos_missing", {1, 10, 14}, {10, 14}, 0},
                                           Case{"bos_missing", {1}, {}, 0},
                                           Case{"bos_doubled", {1, 1, 10}, {1, 10}, 1},
                                           Case{"eos", {1, 10, 2}, {1, 10}, 2},
                                           Case{"truncated", {10, 14, 14}, {10}, 1},
                                           Case{"special_as_text", {4, 10}, {18, 19, 20, 10}, 0},
                                           Case{"special_as_text", {4, 10}, {31, 32, 10}, 0},
                                           Case{"byte_fallback", {10, 21}, {10, 24, 25}, 1},
                                           Case{"byte_fallback", {10, 21}, {10, 22, 23}, 1},
                                           Case{"byte_fallback", {10, 3}, {10, 21}, 1},
                                           Case{"space_prefix", {11, 14}, {10, 14}, 0},
                                           Case{"space_prefix", {4, 15, 10}, {4, 10}, 1},
                                           Case{"pre_tokenizer", {10, 14}, {12, 13, 14}, 0},
                                           Case{"pre_tokenizer", {10, 14}, {10, 15, 16}, 1},
                                           Case{"vocabulary", {10, 14}, {27, 14}, 0},
                                           Case{"normalization", {10, 14}, {17, 14}, 0},
                                           Case{"normalization", {10, 21, 10}, {10, 29, 10}, 1},
                                           Case{"whitespace", {10, 28, 16}, {10, 16}, 1},
                                           Case{"text", {10, 14}, {10, 26}, 1}));

TEST(Tokens, EqualIdsHaveNoMismatch) {
  EXPECT_FALSE(compare({1, 10}, {1, 10}));
  EXPECT_FALSE(compare({}, {}));
}

TEST(Tokens, ShowsTheNeighbourhoodOfBothSides) {
  const auto mismatch = compare({10, 11, 12, 13, 14, 15, 16, 17}, {10, 11, 12, 13, 14, 15, 26});
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->index, 6);
  EXPECT_EQ(mismatch->first_shown, 2);
  EXPECT_EQ(mismatch->engine->id, 16);
  EXPECT_EQ(mismatch->backend->text, "dog");
  ASSERT_EQ(mismatch->engine_near.size(), 6U);
  ASSERT_EQ(mismatch->backend_near.size(), 5U);
  EXPECT_EQ(mismatch->engine_near[4].id, 16);
}

TEST(Tokens, AnEndedSideIsAbsent) {
  const auto mismatch = compare({10}, {10, 14});
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->index, 1);
  EXPECT_FALSE(mismatch->engine);
  EXPECT_EQ(mismatch->backend->id, 14);
}

// A long prompt is not spelled out as a whole: the texts agree as far as they are known.
TEST(Tokens, LongPromptsAreComparedNearTheMismatch) {
  std::vector<TokenId> e(5000, 14), b(5000, 14);
  e[100] = 10;
  b[100] = 12;
  b.insert(b.begin() + 101, 13);
  const auto mismatch = compare(e, b);
  ASSERT_TRUE(mismatch);
  EXPECT_EQ(mismatch->rule, "pre_tokenizer");
}

}  // namespace
}  // namespace crossval
