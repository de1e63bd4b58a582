// A small `rwkv` vocabulary. The ids were taken from the real llama.cpp v0.5.0 on the same
// vocabulary.

#include <gtest/gtest.h>

#include "support/vocabulary.h"
#include "text/pieces.h"

namespace crossval {
namespace {

using testing::Golden;
using testing::Ids;
using testing::open_tokenizer;
using testing::refusal;
using testing::TempDir;

// All bytes, as Python writes them, and a few longer tokens.
GgufWriter vocabulary() {
  std::vector<std::string> tokens = {"<s>"};
  const std::string hex = "0123456789abcdef";
  for (size_t byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    const bool plain = byte >= ' ' && byte < 0x7f && c != '\\';
    std::string escaped = std::string("\\x") + hex[byte / 16] + hex[byte % 16];
    if (c == '\\') escaped = "\\\\";
    if (c == '\t') escaped = "\\t";
    if (c == '\n') escaped = "\\n";
    if (c == '\r') escaped = "\\r";
    tokens.push_back(plain ? std::string(1, c) : escaped);
  }
  for (const char* token : {"ab", "abcd", "\\n\\n", "\\xe4\\xbd\\xa0", "\\xe4\\xbd", "  ", "\\'\"",
                            " abc", "\u4f60\u597d", "[PAD1]"}) {
    tokens.emplace_back(token);
  }
  std::vector<int32_t> types(tokens.size(), 1);
  types[0] = 3;
  types.back() = 5;
  GgufWriter out;
  out.set_string("general.architecture", "rwkv6");
  out.set_string("tokenizer.ggml.model", "rwkv");
  out.set_string_array("tokenizer.ggml.tokens", tokens);
  out.set_i32_array("tokenizer.ggml.token_type", types);
  out.set_u32("tokenizer.ggml.bos_token_id", 0);
  out.set_bool("tokenizer.ggml.add_bos_token", true);  // changes nothing
  return out;
}

const Golden kGolden[] = {
    {true, "abcabcdab", {257, 100, 258, 257}},
    {true, "", {}},
    {true, "<s>a<s> abcd", {0, 98, 0, 264, 101}},
    {false, "<s>", {0}},
    {false, "\n\n\n\t\r\\x'\"'", {259, 11, 10, 14, 93, 121, 263, 40}},
    {false, "\u4f60\u4f60\u597d\xe4\xbd\xe4", {260, 265, 261, 229}},
    {false, "   abc [PAD1] ", {262, 264, 33, 266, 33}},
    {false, std::string("a\0b\xff", 4), {98, 1, 99, 256}},
};

TEST(Rwkv, IdsEqualLlamaCpp) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  for (const Golden& g : kGolden)
    EXPECT_EQ(t->encode(g.text, g.special, g.special), g.ids) << g.text;
  EXPECT_FALSE(t->rules().add_bos);
}

TEST(Rwkv, PiecesGiveTheBytesBack) {
  const TempDir dir;
  const auto t = open_tokenizer(vocabulary(), dir);
  std::string text = "ab \u4f60\u597d\n\n\\ '\" [PAD1]\x7f\xfe";
  std::string back;
  for (const int32_t id : t->encode(text, true, true)) back += t->piece(id);
  EXPECT_EQ(back, text);
}

TEST(Rwkv, Escapes) {
  EXPECT_EQ(unescape_bytes("a\\x00\\xFf\\t\\q\\\\"), std::string("a\0\xff\tq\\", 6));
  for (const char* broken : {"\\", "a\\x", "\\x1", "\\xg0", "\\x0g"}) {
    EXPECT_EQ(unescape_bytes(broken), std::nullopt) << broken;
  }
}

TEST(Rwkv, WhatNoTokenFits) {
  const TempDir dir;
  GgufWriter out = vocabulary();
  out.remove("tokenizer.ggml.token_type");
  out.set_string_array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "bc", "\\n", "?"});
  EXPECT_THROW(open_tokenizer(out, dir)->encode("x", false, true), Error);
  out.set_u32("tokenizer.ggml.unknown_token_id", 3);
  const auto t = open_tokenizer(out, dir);
  EXPECT_EQ(t->encode("axabc", false, true), (Ids{0, 3, 0, 1}));
  EXPECT_THROW(t->encode("b", false, true), Error);  // llama.cpp never ends here
  out.set_string_array("tokenizer.ggml.tokens", std::vector<std::string>{"a", "\\x0"});
  EXPECT_EQ(refusal(out, dir), "bad_vocabulary");
}

}  // namespace
}  // namespace crossval
