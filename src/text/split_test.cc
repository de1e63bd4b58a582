// Expressions of pre-tokenizers: those that look far ahead cut as written, in time that grows with
// the text; those that give up are an error, never other ids.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "text/hf_bridge.h"

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

// A tokenizer whose tokens are the characters, so that pieces show by their merges: "ab" merges
// nowhere but inside of one piece.
HfTokenizer by_expression(std::string_view pattern) {
  static const std::vector<std::string> tokens = {"0", "1", "a", "b", " ", "00", "000", "0000"};
  static const std::vector<std::string_view> merges = {"0 0", "00 0", "000 0"};
  const std::vector<std::string_view> patterns = {pattern};
  return HfTokenizer::bpe({.tokens = tokens,
                           .merges = merges,
                           .patterns = patterns,
                           .ignore_merges = false,
                           .byte_level = false},
                          nullptr);
}

// Lengths of the runs of 0 that became one token: "3 3 1".
std::string groups(std::string_view pattern, const std::string& text) {
  std::string out;
  for (const int32_t id : by_expression(pattern).encode(text, false)) {
    const int length = id == 0 ? 1 : id >= 5 ? id - 3 : 0;
    out += length == 0 ? "." : std::to_string(length);
  }
  return out;
}

constexpr const char* kSuper = R"((?=(\d{3})+(?!\d)))";
constexpr const char* kAya = R"(\d{1,3}(?=(?:\d{3})*\b))";

TEST(Split, digits_are_grouped_from_the_right) {
  for (const char* pattern : {kSuper, kAya}) {
    EXPECT_EQ(groups(pattern, "00000000"), "233") << pattern;
    EXPECT_EQ(groups(pattern, "000"), "3") << pattern;
    EXPECT_EQ(groups(pattern, "00"), "2") << pattern;
  }
  // \b does not end a number in a word: nothing is cut there.
  EXPECT_EQ(groups(kSuper, "a0000 000000b"), ".13.33.");
  EXPECT_EQ(groups(kAya, "a0000 000000b"), ".13.222.");
}

// The same vocabulary with the expression as the library runs it.
HfTokenizer as_written(std::string_view pattern) {
  Json out = {{"version", "1.0"}, {"added_tokens", Json::array()}};
  out["pre_tokenizer"] = {{"type", "Split"},
                          {"pattern", {{"Regex", pattern}}},
                          {"behavior", "Isolated"},
                          {"invert", false}};
  out["model"] = {
      {"type", "BPE"},
      {"unk_token", " "},
      {"vocab",
       {{"0", 0}, {"1", 1}, {"a", 2}, {"b", 3}, {" ", 4}, {"00", 5}, {"000", 6}, {"0000", 7}}},
      {"merges", {"0 0", "00 0", "000 0"}}};
  return HfTokenizer::from_json(out.dump(), true);
}

TEST(Split, digits_are_cut_as_the_expression_is_written) {
  std::mt19937 random(5);
  const char* const parts[] = {"0", "0", "0", "1", "a", " ", "\xd9\xa3", "\xc2\xbd", "_"};
  for (const char* pattern : {kSuper, kAya}) {
    const HfTokenizer ours = by_expression(pattern), theirs = as_written(pattern);
    for (int i = 0; i < 2000; ++i) {
      std::string text;
      for (unsigned n = random() % 14; n > 0; --n) text += parts[random() % std::size(parts)];
      // What the vocabulary lacks is another id here and there.
      const auto known = [](std::vector<int32_t> ids) {
        for (int32_t& id : ids) id = id > 7 ? 4 : id;
        return ids;
      };
      ASSERT_EQ(known(ours.encode(text, false)), known(theirs.encode(text, false)))
          << pattern << " '" << text << "'";
    }
  }
}

TEST(Split, forty_thousand_digits_take_no_time) {
  for (const char* pattern : {kSuper, kAya}) {
    EXPECT_EQ(groups(pattern, std::string(40'000, '0')), "1" + std::string(13'333, '3')) << pattern;
  }
}

Json tokenizer_json(const std::string& expression, bool in_normalizer) {
  const Json pattern = {{"Regex", expression}};
  Json out = {
      {"version", "1.0"},
      {"added_tokens", Json::array()},
      {"model",
       {{"type", "WordLevel"}, {"vocab", {{"[UNK]", 0}, {"a", 1}}}, {"unk_token", "[UNK]"}}}};
  if (in_normalizer) {
    out["normalizer"] = {{"type", "Replace"}, {"pattern", pattern}, {"content", "b"}};
  } else {
    out["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers",
         {{{"type", "Split"}, {"pattern", pattern}, {"behavior", "Isolated"}, {"invert", false}}}}};
  }
  return out;
}

TEST(Split, an_expression_that_gives_up_is_an_error) {
  const std::string text = "a " + std::string(64, 'a') + "!";
  for (const bool in_normalizer : {false, true}) {
    const auto gives_up = HfTokenizer::from_json(
        tokenizer_json(R"((?:(?=a)a|a)*(?:(?=a)a|a)*(?:a(?=a)|a)*(?:a|a(?=a))*b)", in_normalizer)
            .dump(),
        true);
    EXPECT_THROW(gives_up.encode(text + std::string(2000, 'a'), false), HfError) << in_normalizer;
    const auto fine = HfTokenizer::from_json(tokenizer_json("a+", in_normalizer).dump(), true);
    EXPECT_FALSE(fine.encode(text, false).empty());
  }
}

}  // namespace
}  // namespace crossval
