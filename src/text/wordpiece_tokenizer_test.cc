// A small `bert` vocabulary. The ids were taken from the real llama.cpp v0.5.0 on the same
// vocabulary, but where BERT's own rules differ (KnownDifferences).

#include <gtest/gtest.h>

#include "support/vocabulary.h"

namespace crossval {
namespace {

using testing::Golden;
using testing::Ids;
using testing::open_tokenizer;
using testing::refusal;
using testing::TempDir;

GgufWriter vocabulary() {
  const std::vector<std::string> tokens = {
      "[PAD]",       "[UNK]",          "[CLS]",        "[SEP]",     "[MASK]",
      "\u2581hello", "\u2581wor",      "ld",           "\u2581na",  "ive",
      "\u2581!",     "\u2581'",        "\u2581\u4f60", "\u2581a",   "a",
      "aa",          "\u2581\u1112",   "\u1161",       "\u11ab",    "\u2581stra\u00dfe",
      "\u2581Hello", "\u2581na\u00ef", "ve",           "[unused0]", "\u2581\u597d"};
  std::vector<int32_t> types(tokens.size(), 1);
  types[0] = types[2] = types[3] = types[4] = 3;
  types[1] = 2;
  GgufWriter out;
  out.set_string("general.architecture", "bert");
  out.set_string("tokenizer.ggml.model", "bert");
  out.set_string_array("tokenizer.ggml.tokens", tokens);
  out.set_i32_array("tokenizer.ggml.token_type", types);
  out.set_u32("tokenizer.ggml.bos_token_id", 2);
  out.set_u32("tokenizer.ggml.seperator_token_id", 3);
  out.set_u32("tokenizer.ggml.unknown_token_id", 1);
  return out;
}

const Golden kGolden[] = {
    {true, "Hello, world!", {2, 5, 1, 6, 7, 10, 3}},
    {true, "", {2, 3}},
    {false, "HELLO  \t\n hello", {5, 5}},
    {false, "na\u00efve nai\u0308ve", {8, 9, 8, 9}},
    {false, "hello!!'world", {5, 10, 10, 11, 6, 7}},
    {false, "\u4f60\u597d\u4f60a", {12, 24, 12, 13}},
    {false, "aaaa aab a", {13, 15, 14, 1, 13}},
    {true, "a [MASK]a[SEP] [unused0]", {2, 13, 4, 13, 3, 1, 1, 1, 3}},
    {false, "stra\u00dfe STRA\u00dfE", {19, 19}},
    {false, std::string("he\u200bllo h\0ello \ufffdhello", 24), {5, 5, 5}},
    {false, "\u3000hello\u2028a\u00a0a", {5, 13, 13}},
    {false, "hell\xff hello", {1, 5}},
};

TEST(WordPiece, IdsEqualLlamaCpp) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  for (const Golden& g : kGolden)
    EXPECT_EQ(t->encode(g.text, g.special, g.special), g.ids) << g.text;
}

TEST(WordPiece, CaseAndAccentsAsTheFileSays) {
  const TempDir dir;
  GgufWriter out = vocabulary();
  out.set_bool("tokenizer.ggml.normalizer.lowercase", false);
  EXPECT_EQ(open_tokenizer(out, dir)->encode("Hello hello na\u00efve", false, true),
            (Ids{20, 5, 21, 22}));
  out.set_bool("tokenizer.ggml.normalizer.strip_accents", true);
  EXPECT_EQ(open_tokenizer(out, dir)->encode("Hello na\u00efve", false, true), (Ids{20, 8, 9}));
}

TEST(WordPiece, KnownDifferences) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  EXPECT_NE(t->known_difference(), "");
  EXPECT_EQ(t->encode("\ud55c", false, true), (Ids{16, 17, 18}));  // llama.cpp: 16 alone
  EXPECT_EQ(t->encode(std::string(100, 'a'), false, true).size(), 51u);
  EXPECT_EQ(t->encode(std::string(101, 'a'), false, true), (Ids{1}));  // llama.cpp: 51 pieces
}

TEST(WordPiece, ClsAndSepWhateverTheFlagsSay) {
  const TempDir dir;
  GgufWriter out = vocabulary();
  out.set_bool("tokenizer.ggml.add_bos_token", false);
  const auto t = open_tokenizer(out, dir);
  EXPECT_EQ(t->encode("a", true, true), (Ids{2, 13, 3}));
  EXPECT_TRUE(t->rules().add_bos);
  EXPECT_EQ(t->piece(5), " hello");
  EXPECT_EQ(t->piece(2), "[CLS]");
  out.remove("tokenizer.ggml.bos_token_id");  // the default, 101, is beyond the vocabulary
  EXPECT_THROW(open_tokenizer(out, dir)->encode("a", true, true), Error);
}

TEST(WordPiece, NoUnknownToken) {
  const TempDir dir;
  GgufWriter out = vocabulary();
  out.remove("tokenizer.ggml.unknown_token_id");  // the default, 100, is beyond the vocabulary
  const auto t = open_tokenizer(out, dir);
  EXPECT_EQ(t->encode("a", false, true), (Ids{13}));
  EXPECT_THROW(t->encode("xyz", false, true), Error);
  EXPECT_EQ(refusal(out, dir), "accepted");
}

}  // namespace
}  // namespace crossval
