#include "render/visible.h"

#include <fmt/format.h>

#include <cstddef>
#include <cstdint>

namespace crossval {
namespace {

struct Character {
  uint32_t code = 0;
  size_t n_bytes = 0;  // 0 = not UTF-8
};

// The character at the front of `s`: shortest form, no surrogates, at most U+10FFFF (RFC 3629).
Character decode(std::string_view s) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(s[i]); };
  if (byte(0) < 0x80) return {byte(0), 1};
  const size_t n = byte(0) >= 0xF0 ? 4 : byte(0) >= 0xE0 ? 3 : 2;
  if (byte(0) < 0xC2 || byte(0) > 0xF4 || s.size() < n) return {};
  uint32_t code = byte(0) & (0xFF >> (n + 1));
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  const uint32_t least = n == 4 ? 0x10000 : n == 3 ? 0x800 : 0x80;
  if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, n};
}

struct Range {
  uint32_t first, last;
};

template <size_t N>
bool within(const Range (&ranges)[N], uint32_t code) {
  for (const Range& range : ranges) {
    if (code >= range.first && code <= range.last) return true;
  }
  return false;
}

// Would move the cursor, reorder the line or show nothing: C0, C1, soft hyphen, zero width and
// bidirectional marks, line separators, BOM, private use, no characters, tags.
constexpr Range kHidden[] = {{0, 0x1F},        {0x7F, 0x9F},     {0xAD, 0xAD},
                             {0x61C, 0x61C},   {0x200B, 0x200F}, {0x2028, 0x202E},
                             {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xE000, 0xF8FF},
                             {0xFFF0, 0xFFFB}, {0xFFFE, 0xFFFF}, {0xE0000, 0x10FFFF}};
// Combining marks and variation selectors: no column of their own (the common blocks).
constexpr Range kCombining[] = {
    {0x300, 0x36F},   {0x483, 0x489},   {0x591, 0x5BD},   {0x610, 0x61A},   {0x64B, 0x65F},
    {0x6D6, 0x6DC},   {0x93C, 0x93C},   {0x941, 0x948},   {0x94D, 0x94D},   {0xE31, 0xE31},
    {0xE34, 0xE3A},   {0xE47, 0xE4E},   {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0x20D0, 0x20FF},
    {0x3099, 0x309A}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}};
// East Asian wide and emoji (the blocks of EastAsianWidth.txt that are wide throughout).
constexpr Range kWide[] = {
    {0x1100, 0x115F},   {0x2E80, 0x303E},   {0x3041, 0xA4CF},  {0xA960, 0xA97F}, {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},  {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FF}, {0x1F900, 0x1FAFF}, {0x20000, 0x3FFFD}};

int width(uint32_t code) {
  if (within(kCombining, code)) return 0;
  return within(kWide, code) ? 2 : 1;
}

}  // namespace

std::string visible(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const Character c = decode(bytes);
    if (c.n_bytes == 0) {
      out += fmt::format("\\x{:02X}", static_cast<unsigned char>(bytes[0]));
      bytes.remove_prefix(1);
      continue;
    }
    switch (c.code) {
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\\':
        out += "\\\\";
        break;
      default:
        if (within(kHidden, c.code)) {
          out += fmt::format("\\u{{{:X}}}", c.code);
        } else {
          out += bytes.substr(0, c.n_bytes);
        }
    }
    bytes.remove_prefix(c.n_bytes);
  }
  return out;
}

int columns(std::string_view text) {
  int n = 0;
  while (!text.empty()) {
    const Character c = decode(text);
    n += c.n_bytes == 0 ? 1 : width(c.code);
    text.remove_prefix(c.n_bytes == 0 ? 1 : c.n_bytes);
  }
  return n;
}

std::string visible_cell(std::string_view bytes, int cell) {
  // A piece can be long; a few times the cell is all that can ever be shown.
  const bool cut = bytes.size() > static_cast<size_t>(cell) * 8;
  const std::string text = visible(bytes.substr(0, static_cast<size_t>(cell) * 8));
  if (!cut && columns(text) <= cell) return text + std::string(cell - columns(text), ' ');
  std::string out;
  int used = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const Character c = decode(rest);
    const int next = width(c.code);
    if (used + next > cell - 1) break;
    used += next;
    out += rest.substr(0, c.n_bytes);
    rest.remove_prefix(c.n_bytes);
  }
  return out + "…" + std::string(cell - 1 - used, ' ');
}

}  // namespace crossval
