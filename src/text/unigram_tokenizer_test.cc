// A small `t5` vocabulary with a map of its own. The ids were taken from the real llama.cpp v0.5.0
// on the same vocabulary, but where SentencePiece's own rules differ (KnownDifferences).

#include <gtest/gtest.h>

#include "support/charsmap.h"
#include "support/vocabulary.h"

namespace crossval {
namespace {

using testing::Golden;
using testing::Ids;
using testing::open_tokenizer;
using testing::Piece;
using testing::refusal;
using testing::set_pieces;
using testing::TempDir;

GgufWriter vocabulary() {
  const std::vector<Piece> pieces = {{"<pad>", 0, 3},
                                     {"</s>", 0, 3},
                                     {"<unk>", 0, 2},
                                     {"\u2581", -2},
                                     {"\u2581hello", -5},
                                     {"\u2581he", -3},
                                     {"llo", -2.5f},
                                     {"l", -4},
                                     {"o", -4},
                                     {"a", -3},
                                     {"aa", -5.5f},
                                     {"aaa", -7},
                                     {"\u2581a", -3.5f},
                                     {"fi", -4},
                                     {"\u00e9", -4.5f},
                                     {"<x>", -1, 4},
                                     {"never", 0, 3},
                                     {"<0x41>", 0, 6},
                                     {"seldom", -20, 5},
                                     {"\u2581\u2581", -6},
                                     {"\u2581hello\u2581a", -7.5f},
                                     {"s", -8},
                                     {"\u2581wor", -4},
                                     {"ld", -4}};
  GgufWriter out;
  out.set_string("general.architecture", "t5");
  out.set_string("tokenizer.ggml.model", "t5");
  set_pieces(out, pieces);
  out.set_u8_array("tokenizer.ggml.precompiled_charsmap", testing::charsmap({{"\ufb01", "fi"},
                                                                             {"e\u0301", "\u00e9"},
                                                                             {"\u3000", " "},
                                                                             {"\n", " "},
                                                                             {"\u200b", ""},
                                                                             {"A", "a"}}));
  out.set_bool("tokenizer.ggml.add_space_prefix", true);
  out.set_bool("tokenizer.ggml.remove_extra_whitespaces", true);
  return out;
}

const Golden kGolden[] = {
    {true, "hello world", {4, 22, 23, 1}},
    {true, "", {1}},
    {true, "   ", {1}},
    {false, "  hello \n\u3000 a  ", {20}},
    {false, "hello a hello aa", {20, 20, 9}},
    {false, "aaaaaaa", {12, 11, 11}},
    {false, "AaA \ufb01 e\u0301\u00e9e\u200ba", {3, 11, 3, 13, 3, 14, 14, 2, 9}},
    {false, "xyz a\u4f60\u597db", {3, 2, 12, 2}},
    {true, "a<x>a</s> hello<unk>a", {12, 15, 12, 1, 4, 2, 12, 1}},
    {false, "a<x>a</s>", {12, 15, 12, 2, 21, 2}},
    {false, "never seldom <0x41> <pad>", {3, 2, 3, 18, 3, 2, 3, 2, 9, 2}},
    {false, "hel\xff\xc3lo", {5, 7, 2, 7, 8}},
    {false, "\xe3\x80 a", {3, 2, 12}},
};

TEST(Unigram, IdsEqualLlamaCpp) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  for (const Golden& g : kGolden)
    EXPECT_EQ(t->encode(g.text, g.special, g.special), g.ids) << g.text;
}

TEST(Unigram, NothingAsked) {
  const TempDir dir;
  GgufWriter out = vocabulary();
  for (const char* key : {"precompiled_charsmap", "add_space_prefix", "remove_extra_whitespaces"}) {
    out.remove(std::string("tokenizer.ggml.") + key);
  }
  const auto t = open_tokenizer(out, dir);
  EXPECT_EQ(t->encode("hello  a", true, true), (Ids{2, 6, 3, 12, 1}));
  EXPECT_EQ(t->encode(" \ufb01 ", true, true), (Ids{3, 2, 3, 1}));
}

TEST(Unigram, KnownDifferences) {
  const TempDir dir;
  GgufWriter out = vocabulary();
  out.set_bool("tokenizer.ggml.add_space_prefix", false);
  const auto t = open_tokenizer(out, dir);
  EXPECT_EQ(t->encode("a", false, true), (Ids{9}));  // llama.cpp: 12, with a space
  EXPECT_NE(t->known_difference().find("add_space_prefix"), std::string::npos);
  EXPECT_NE(t->known_difference().find("user-defined"), std::string::npos);
}

TEST(Unigram, Pieces) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  EXPECT_EQ(t->piece(4), " hello");
  EXPECT_EQ(t->piece(2), "<unk>");
  EXPECT_EQ(t->piece(17), "A");
  EXPECT_EQ(t->piece(18), "");  // unused
}

TEST(Unigram, RefusesWhatContradictsItself) {
  const TempDir dir;
  const std::string key = "tokenizer.ggml.precompiled_charsmap";
  GgufWriter out = vocabulary();
  for (const std::vector<uint8_t>& bytes :
       {std::vector<uint8_t>{1, 2, 3}, {0xff, 0xff, 0xff, 0xff, 0}, {4, 0, 0, 0, 0, 0, 0, 0}}) {
    out.set_u8_array(key, bytes);
    EXPECT_EQ(refusal(out, dir), "bad_vocabulary");
  }
  out.set_i32_array(key, std::vector<int32_t>{1, 2});
  EXPECT_EQ(refusal(out, dir), "wrong_metadata_type");
  // One unit that leads outside, whatever comes next.
  out.set_u8_array(key, std::vector<uint8_t>{4, 0, 0, 0, 0, 0, 0, 0x40, 'x', 0});
  EXPECT_THROW(open_tokenizer(out, dir)->encode("a", false, true), Error);
  out = vocabulary();
  out.remove("tokenizer.ggml.unknown_token_id");
  std::vector<std::string> tokens(24, "t");
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] += std::to_string(i);
  tokens[5] = std::string(5000, 'x');
  out.set_string_array("tokenizer.ggml.tokens", tokens);
  EXPECT_EQ(refusal(out, dir), "bad_vocabulary");
}

}  // namespace
}  // namespace crossval
