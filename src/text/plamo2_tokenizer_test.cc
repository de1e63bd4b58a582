// A small `plamo2` vocabulary. The ids were taken from the real llama.cpp v0.5.0 on the same
// vocabulary, but where it loses its place (KnownDifference).

#include <gtest/gtest.h>

#include <cmath>

#include "support/vocabulary.h"
#include "text/pieces.h"

namespace crossval {
namespace {

using testing::Golden;
using testing::Ids;
using testing::open_tokenizer;
using testing::Piece;
using testing::refusal;
using testing::set_pieces;
using testing::TempDir;

std::vector<Piece> pieces() {
  std::vector<Piece> out = {{"<unk>", 0, 2}, {"<bos>", 0, 3}, {"<eos>", 0, 3}};
  for (int byte = 0; byte < 256; ++byte) {
    out.push_back({token_of_byte(static_cast<unsigned char>(byte)), 0, 6});
  }
  // From id 259 on.
  const std::vector<Piece> words = {
      {"a", -3},           {"b", -3},         {"ab", -6},      {"abc", -5},
      {"c", -4},           {"bc", -1},        {"\u4f60", -4},  {"\u4f60\u597d", -5},
      {" ", -2},           {" a", -3.00004f}, {"dear", -3000}, {"d", -999},
      {"[PAD]", -1000, 5}, {"\xe4\xbd", -1},  {"aaaa", -20},   {"aa", -6},
      {"x", 2.5f},         {"\n", -1}};
  out.insert(out.end(), words.begin(), words.end());
  return out;
}

GgufWriter vocabulary(const std::vector<Piece>& pieces) {
  GgufWriter out;
  out.set_string("general.architecture", "plamo2");
  out.set_string("tokenizer.ggml.model", "plamo2");
  set_pieces(out, pieces);
  out.set_bool("tokenizer.ggml.add_bos_token", true);  // changes nothing
  return out;
}

const Golden kGolden[] = {
    {true, "abcab", {259, 264, 261}},
    {true, "", {}},
    {true, "<bos>ab<eos> a a", {1, 261, 2, 268, 268}},
    {false, "<bos>", {1}},
    {false,
     "\u4f60\u597d\u4f60\u597e\u00e9\U0001f642",
     {266, 265, 232, 168, 193, 198, 172, 243, 162, 156, 133}},
    {false, "\ufeffa\ufeff", {259, 242, 190, 194}},
    {false, "dear d", {270, 104, 259, 117, 267, 270}},
    {false, "aaaaaaa xx\n\n", {274, 274, 274, 259, 267, 275, 275, 276, 276}},
    {false, "[PAD]", {271}},
    {false, "a\xff\xe4\xbd", {259, 242, 194, 192, 242, 194, 192, 242, 194, 192}},
};

TEST(Plamo2, IdsEqualLlamaCpp) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(pieces()), dir);
  for (const Golden& g : kGolden)
    EXPECT_EQ(t->encode(g.text, g.special, g.special), g.ids) << g.text;
  EXPECT_FALSE(t->rules().add_bos);
  EXPECT_EQ(t->piece(3 + 'A'), "A");
  EXPECT_EQ(t->piece(268), " a");
  EXPECT_EQ(t->piece(271), "[PAD]");
}

TEST(Plamo2, KnownDifference) {
  const TempDir dir;
  std::vector<Piece> some = pieces();
  const auto t = open_tokenizer(vocabulary(some), dir);
  EXPECT_EQ(t->encode(" [PAD]", false, true), (Ids{267, 271}));  // llama.cpp: byte 0x20, then 271
  EXPECT_NE(t->known_difference(), "");
  some[271].score = -5;
  EXPECT_EQ(open_tokenizer(vocabulary(some), dir)->known_difference(), "");
}

TEST(Plamo2, RefusesWhatItCannotUse) {
  const TempDir dir;
  std::vector<Piece> some = pieces();
  some[3].type = 1;  // no token for byte 0
  EXPECT_EQ(refusal(vocabulary(some), dir), "bad_vocabulary");
  some = pieces();
  some[260].score = 3e38f;
  EXPECT_EQ(refusal(vocabulary(some), dir), "bad_vocabulary");
  some[260].score = NAN;
  EXPECT_EQ(refusal(vocabulary(some), dir), "damaged_file");
  some[260].score = -3e38f;  // never taken
  EXPECT_EQ(open_tokenizer(vocabulary(some), dir)->encode("b", false, true), (Ids{3 + 'b'}));
}

}  // namespace
}  // namespace crossval
