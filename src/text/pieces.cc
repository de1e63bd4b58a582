#include "text/pieces.h"

#include <fmt/format.h>

#include <array>

#include "text/utf8.h"

namespace crossval {
namespace {

constexpr std::string_view kEscapedSpace = "\xe2\x96\x81";

// Code point (below 324) -> byte, -1 where the alphabet has no such character: printable Latin-1
// stands for itself, the other 68 bytes follow from U+0100 on in order.
constexpr std::array<int, 324> byte_alphabet() {
  std::array<int, 324> table = {};
  for (int& entry : table) entry = -1;
  size_t next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool itself = (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) ||
                        (byte >= 0xae && byte <= 0xff);
    table[itself ? static_cast<size_t>(byte) : next++] = byte;
  }
  return table;
}

int hex_digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                : -1;
}

}  // namespace

std::string decode_byte_level(std::string_view token) {
  static constexpr auto table = byte_alphabet();
  std::string out;
  for (size_t i = 0; i < token.size();) {
    const size_t length = valid_character_length(token.substr(i));
    if (length == 0 || length > 2) return std::string(token);
    const auto lead = static_cast<unsigned char>(token[i]);
    const size_t c =
        length == 1 ? lead
                    : ((lead & 0x1fu) << 6) | (static_cast<unsigned char>(token[i + 1]) & 0x3fu);
    if (c >= table.size() || table[c] < 0) return std::string(token);
    out.push_back(static_cast<char>(table[c]));
    i += length;
  }
  return out;
}

std::string unescape_spaces(std::string_view token) {
  std::string out;
  out.reserve(token.size());
  for (size_t i = 0; i < token.size();) {
    const bool space = token.substr(i).starts_with(kEscapedSpace);
    out.push_back(space ? ' ' : token[i]);
    i += space ? kEscapedSpace.size() : 1;
  }
  return out;
}

std::string escape_spaces(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  for (const char c : text) {
    if (c == ' ') {
      out += kEscapedSpace;
    } else {
      out.push_back(c);
    }
  }
  return out;
}

int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  int value = 0;
  for (const char c : token.substr(3, 2)) {
    const int digit = hex_digit(c);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

std::optional<std::string> unescape_bytes(std::string_view token) {
  std::string out;
  out.reserve(token.size());
  for (size_t i = 0; i < token.size(); ++i) {
    if (token[i] != '\\') {
      out.push_back(token[i]);
      continue;
    }
    if (++i == token.size()) return std::nullopt;
    const char c = token[i];
    if (c == 'x') {
      if (token.size() - i < 3) return std::nullopt;
      const int high = hex_digit(token[i + 1]), low = hex_digit(token[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      out.push_back(c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c);
    }
  }
  return out;
}

std::string token_of_byte(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

std::string piece_of(const Vocabulary& vocabulary, int32_t id) {
  if (id < 0 || static_cast<size_t>(id) >= vocabulary.tokens.size()) return "";
  const auto index = static_cast<size_t>(id);
  const std::string& token = vocabulary.tokens[index];
  const uint32_t attrs = vocabulary.attrs[index];
  if (vocabulary.kind == VocabKind::rwkv) return unescape_bytes(token).value_or(token);
  if (vocabulary.kind == VocabKind::plamo2) {
    const int byte = attrs & kTokenByte ? byte_of_token(token) : -1;
    return byte < 0 ? token : std::string(1, static_cast<char>(byte));
  }
  if (attrs & (kTokenUnknown | kTokenControl | kTokenUserDefined)) return token;
  if (attrs & kTokenNormal) {
    const bool byte_level = vocabulary.kind == VocabKind::bpe && vocabulary.pre->byte_level;
    return byte_level ? decode_byte_level(token) : unescape_spaces(token);
  }
  if (attrs & kTokenByte) {
    const int byte = byte_of_token(token);
    return byte < 0 ? token : std::string(1, static_cast<char>(byte));
  }
  return "";
}

}  // namespace crossval
