#include "support/tiny_vocabulary.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace crossval::testing {
namespace {

// `enum llama_token_type` of llama.h.
constexpr int32_t kTypeNormal = 1, kTypeUnknown = 2, kTypeControl = 3, kTypeByte = 6;

std::string utf8(uint32_t code_point) {
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xc0 | (code_point >> 6)),
          static_cast<char>(0x80 | (code_point & 0x3f))};
}

// GPT-2's letter for each byte: printable Latin-1 stands for itself, the others are moved to
// U+0100 and up in order (openai/gpt-2 src/encoder.py, bytes_to_unicode).
std::string byte_letter(int byte) {
  const auto is_plain = [](int b) {
    return (b >= 33 && b <= 126) || (b >= 161 && b <= 172) || (b >= 174 && b <= 255);
  };
  if (is_plain(byte)) return utf8(static_cast<uint32_t>(byte));
  uint32_t moved = 256;
  for (int b = 0; b < byte; ++b) moved += is_plain(b) ? 0 : 1;
  return utf8(moved);
}

// Pairs that merge, in order of rank; "_" stands for a leading space. Both halves are bytes or
// results of earlier merges.
const std::pair<const char*, const char*> merges[] = {
    {"_", "t"},     {"_", "a"}, {"h", "e"}, {"i", "n"},  {"r", "e"},    {"o", "n"},   {"_t", "he"},
    {"e", "r"},     {"_", "s"}, {"a", "t"}, {"e", "n"},  {"o", "r"},    {"_", "w"},   {"_", "c"},
    {"i", "t"},     {"i", "s"}, {"a", "n"}, {"e", "s"},  {"n", "d"},    {"o", "u"},   {"_", "f"},
    {"in", "g"},    {"_", "p"}, {"e", "d"}, {"_", "o"},  {"_a", "n"},   {"_an", "d"}, {"a", "l"},
    {"l", "l"},     {"_", "b"}, {"_", "m"}, {"a", "r"},  {"_t", "o"},   {"_o", "f"},  {"_", "in"},
    {"_", "d"},     {"l", "o"}, {"_", "h"}, {"_h", "e"}, {"_he", "ll"}, {"_w", "or"}, {"l", "d"},
    {"_wor", "ld"}, {"0", "0"}, {"1", "2"}, {"_", "_"},  {"_ _", "_ _"}};

std::string gpt2_spelling(const char* text) {
  std::string out;
  for (const char* c = text; *c != '\0'; ++c) {
    if (*c == '_') out += byte_letter(' ');
    if (*c != '_' && *c != ' ') out += *c;
  }
  return out;
}

int set_gpt2(GgufWriter& out, bool add_bos) {
  std::vector<std::string> tokens = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  std::vector<int32_t> types(tokens.size(), kTypeControl);
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(byte_letter(byte));
  std::vector<std::string> merge_lines;
  for (const auto& [left, right] : merges) {
    merge_lines.push_back(gpt2_spelling(left) + " " + gpt2_spelling(right));
    tokens.push_back(gpt2_spelling(left) + gpt2_spelling(right));
  }
  types.resize(tokens.size(), kTypeNormal);
  out.set_string("tokenizer.ggml.model", "gpt2");
  out.set_string("tokenizer.ggml.pre", "smollm");
  out.set_string_array("tokenizer.ggml.tokens", tokens);
  out.set_i32_array("tokenizer.ggml.token_type", types);
  out.set_string_array("tokenizer.ggml.merges", merge_lines);
  out.set_u32("tokenizer.ggml.bos_token_id", 1);
  out.set_u32("tokenizer.ggml.eos_token_id", 2);
  out.set_bool("tokenizer.ggml.add_bos_token", add_bos);
  return static_cast<int>(tokens.size());
}

int set_llama(GgufWriter& out, bool add_bos) {
  std::vector<std::string> tokens = {"<unk>", "<s>", "</s>"};
  std::vector<int32_t> types = {kTypeUnknown, kTypeControl, kTypeControl};
  for (int byte = 0; byte < 256; ++byte) tokens.push_back(fmt::format("<0x{:02X}>", byte));
  types.resize(tokens.size(), kTypeByte);
  std::vector<float> scores(tokens.size(), 0.0f);
  const auto add = [&](const std::string& piece) {
    if (std::ranges::find(tokens, piece) != tokens.end()) return;
    tokens.push_back(piece);
    types.push_back(kTypeNormal);
    scores.push_back(-static_cast<float>(tokens.size()));  // earlier merges score higher
  };
  const std::string space = "\xe2\x96\x81";  // U+2581
  for (const auto& [left, right] : merges) {
    std::string piece;
    for (const char c : std::string(left) + right) {
      if (c == '_') piece += space;
      if (c != '_' && c != ' ') piece += c;
    }
    add(piece);
  }
  add(space);
  for (char c = '!'; c <= '~'; ++c) add(std::string(1, c));
  out.set_string("tokenizer.ggml.model", "llama");
  out.set_string("tokenizer.ggml.pre", "default");
  out.set_string_array("tokenizer.ggml.tokens", tokens);
  out.set_f32_array("tokenizer.ggml.scores", scores);
  out.set_i32_array("tokenizer.ggml.token_type", types);
  out.set_u32("tokenizer.ggml.bos_token_id", 1);
  out.set_u32("tokenizer.ggml.eos_token_id", 2);
  out.set_u32("tokenizer.ggml.unknown_token_id", 0);
  out.set_bool("tokenizer.ggml.add_bos_token", add_bos);
  out.set_bool("tokenizer.ggml.add_eos_token", false);
  return static_cast<int>(tokens.size());
}

}  // namespace

int set_tiny_vocabulary(GgufWriter& out, TinyVocabulary kind, bool add_bos) {
  return kind == TinyVocabulary::gpt2 ? set_gpt2(out, add_bos) : set_llama(out, add_bos);
}

}  // namespace crossval::testing
