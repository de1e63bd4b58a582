#include "render/visible.h"

#include <fmt/format.h>
#include <utf8proc.h>

#include <cstdint>

#include "base/utf8.h"

namespace crossval {
namespace {

// Would move the cursor, reorder the line or show nothing: control and format characters, line
// separators, private use, what is no character.
bool is_hidden(char32_t code) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code))) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return true;
    default:
      return false;
  }
}

// Columns on a terminal, by the Unicode version of utf8proc (utf8proc_unicode_version()).
int width(char32_t code) { return utf8proc_charwidth(static_cast<utf8proc_int32_t>(code)); }

}  // namespace

std::string visible(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const DecodedChar c = decode_utf8(bytes);
    if (!c.valid) {
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
        if (is_hidden(c.code)) {
          out += fmt::format("\\u{{{:X}}}", static_cast<uint32_t>(c.code));
        } else {
          out += bytes.substr(0, c.n_bytes);
        }
    }
    bytes.remove_prefix(c.n_bytes);
  }
  return out;
}

std::string visible_lines(std::string_view text) {
  std::string out;
  for (;;) {
    const size_t end = text.find('\n');
    out += visible(text.substr(0, end));
    if (end == std::string_view::npos) return out;
    out += '\n';
    text.remove_prefix(end + 1);
  }
}

int columns(std::string_view text) {
  int n = 0;
  while (!text.empty()) {
    const DecodedChar c = decode_utf8(text);
    n += c.valid ? width(c.code) : 1;
    text.remove_prefix(c.n_bytes);
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
    const DecodedChar c = decode_utf8(rest);
    const int next = width(c.code);
    if (used + next > cell - 1) break;
    used += next;
    out += rest.substr(0, c.n_bytes);
    rest.remove_prefix(c.n_bytes);
  }
  return out + "…" + std::string(cell - 1 - used, ' ');
}

}  // namespace crossval
