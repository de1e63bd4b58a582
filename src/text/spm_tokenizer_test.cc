// A small `llama` vocabulary with ties among scores, tokens whose characters are no tokens, an
// unused and a user-defined token. The ids were taken from the real llama.cpp v0.5.0 on the same
// vocabulary.

#include <gtest/gtest.h>

#include "support/vocabulary.h"
#include "text/pieces.h"

namespace crossval {
namespace {

using testing::Golden;
using testing::Ids;
using testing::open_tokenizer;
using testing::Piece;
using testing::set_pieces;
using testing::TempDir;

GgufWriter vocabulary() {
  std::vector<Piece> pieces = {{"<unk>", 0, 2}, {"<s>", 0, 3}, {"</s>", 0, 3}};
  for (int byte = 0; byte < 256; ++byte) {
    pieces.push_back({token_of_byte(static_cast<unsigned char>(byte)), 0, 6});
  }
  pieces.push_back({"\u2581", -20});
  for (const char c : std::string("abclohewrds<>/")) pieces.push_back({std::string(1, c), -30});
  const std::vector<Piece> words = {{"ab", -1},
                                    {"bc", -1},
                                    {"ca", -1},
                                    {"abc", -3},
                                    {"xy", -0.5f},
                                    {"xyx", -0.25f},
                                    {"he", -2},
                                    {"ll", -2},
                                    {"lo", -2},
                                    {"hell", -4},
                                    {"hello", -5},
                                    {"\u2581he", -2.5f},
                                    {"\u2581hello", -6},
                                    {"\u2581\u2581", -1.5f},
                                    {"\u2581\u2581\u2581\u2581", -1.25f},
                                    {"</", -8},
                                    {"s>", -8},
                                    {"wo", -3},
                                    {"rld", -7},
                                    {"ld", -6},
                                    {"world", -9},
                                    {"<tool>", 0, 4},
                                    {"zz", -1, 5},
                                    {"z", -2},
                                    {"\u4f60\u597d", -1}};
  pieces.insert(pieces.end(), words.begin(), words.end());
  GgufWriter out;
  out.set_string("general.architecture", "llama");
  out.set_string("tokenizer.ggml.model", "llama");
  set_pieces(out, pieces);
  return out;
}

const Golden kGolden[] = {
    {true, "hello world", {1, 285, 281, 264, 259, 294}},
    {true, "  hello", {1, 287, 285, 281, 264}},
    {true, "abcabca", {1, 259, 274, 276, 275, 260}},
    {true, "abca abab bcbc", {1, 259, 274, 276, 259, 274, 274, 259, 275, 275}},
    {true, "xyxy xyx yx", {1, 259, 279, 124, 259, 279, 259, 124, 123}},
    {true, "<s>hello</s> world", {1, 1, 285, 281, 264, 2, 287, 294}},
    {true, "</s>", {1, 2}},
    {true, "a<tool>b <tool>", {1, 259, 260, 295, 259, 261, 259, 295}},
    {true, "zzz zz", {1, 259, 296, 297, 259, 296}},
    {true, "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0", {1, 259, 298, 231, 192, 163}},
    {true,
     "\xc3\xa9\xc3\xa8 \xf0\x9f\x99\x82",
     {1, 259, 198, 172, 198, 171, 259, 243, 162, 156, 133}},
    {true, "hellohello lolo", {1, 285, 281, 264, 284, 259, 282, 282}},
    {true, "     ", {1, 288, 287}},
    {true, "\n\thello\n", {1, 259, 13, 12, 284, 13}},
    {true, "<unk>x<0x41>", {1, 0, 259, 123, 271, 51, 123, 55, 52, 272}},
    {true, "\xe2\x96\x81hello", {1, 287, 284}},
    {true, "", {1}},
    {true, "ab\xff\xe4\xbdhello\xc3", {1, 259, 274, 258, 231, 192, 107, 266, 281, 264, 198}},
    {true, "\xe4\xbd\xa0\xe5\xa5\xbd\xe4", {1, 259, 298, 231}},
    {true, "\xed\xa0\x80x", {1, 259, 240, 163, 131, 123}},
    {false, "hello world", {285, 281, 264, 259, 294}},
    {false, "  hello", {287, 285, 281, 264}},
    {false, "abcabca", {259, 274, 276, 275, 260}},
    {false, "abca abab bcbc", {259, 274, 276, 259, 274, 274, 259, 275, 275}},
    {false, "xyxy xyx yx", {259, 279, 124, 259, 279, 259, 124, 123}},
    {false, "<s>hello</s> world", {259, 1, 284, 2, 259, 294}},
    {false, "</s>", {259, 2}},
    {false, "a<tool>b <tool>", {259, 260, 295, 259, 261, 259, 295}},
    {false, "zzz zz", {259, 296, 297, 259, 296}},
    {false, "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xbd\xa0", {259, 298, 231, 192, 163}},
    {false,
     "\xc3\xa9\xc3\xa8 \xf0\x9f\x99\x82",
     {259, 198, 172, 198, 171, 259, 243, 162, 156, 133}},
    {false, "hellohello lolo", {285, 281, 264, 284, 259, 282, 282}},
    {false, "     ", {288, 287}},
    {false, "\n\thello\n", {259, 13, 12, 284, 13}},
    {false, "<unk>x<0x41>", {259, 271, 120, 113, 110, 272, 123, 271, 51, 123, 55, 52, 272}},
    {false, "\xe2\x96\x81hello", {287, 284}},
    {false, "", {}},
    {false, "ab\xff\xe4\xbdhello\xc3", {259, 274, 258, 231, 192, 107, 266, 281, 264, 198}},
    {false, "\xe4\xbd\xa0\xe5\xa5\xbd\xe4", {259, 298, 231}},
    {false, "\xed\xa0\x80x", {259, 240, 163, 131, 123}},
};

TEST(SpmTokenizer, IdsEqualLlamaCpp) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  for (const Golden& g : kGolden)
    EXPECT_EQ(t->encode(g.text, g.special, g.special), g.ids) << g.text;
}

TEST(SpmTokenizer, NoSpaceInFrontWhenTheMetadataSaysSo) {
  const TempDir dir;
  GgufWriter out = vocabulary();
  out.set_bool("tokenizer.ggml.add_space_prefix", false);
  EXPECT_EQ(open_tokenizer(out, dir)->encode("hello", false, true), (Ids{284}));
}

TEST(SpmTokenizer, Pieces) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  EXPECT_EQ(t->piece(1), "<s>");
  EXPECT_EQ(t->piece(3 + 0xe4), "\xe4");
  EXPECT_EQ(t->piece(285), " he");
  EXPECT_EQ(t->piece(295), "<tool>");
}

TEST(SpmTokenizer, ByteWithoutATokenIsAnError) {
  const TempDir dir;
  GgufWriter out;
  out.set_string("general.architecture", "llama");
  out.set_string("tokenizer.ggml.model", "llama");
  out.set_string_array("tokenizer.ggml.tokens",
                       std::vector<std::string>{"<unk>", "<s>", "</s>", "a"});
  EXPECT_THROW(open_tokenizer(out, dir)->encode("b", false, true), Error);
}

}  // namespace
}  // namespace crossval
