#include "render/html.h"

#include "render/visible.h"

namespace crossval {
namespace {

void append_escaped(std::string& out, std::string_view shown) {
  for (const char c : shown) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
}

}  // namespace

std::string html_text(std::string_view bytes) {
  std::string out;
  append_escaped(out, visible(bytes));
  return out;
}

std::string html_lines(std::string_view bytes) {
  std::string out;
  for (;;) {
    const size_t end = bytes.find_first_of("\n\t");
    append_escaped(out, visible(bytes.substr(0, end)));
    if (end == bytes.npos) return out;
    out += bytes[end];
    bytes.remove_prefix(end + 1);
  }
}

}  // namespace crossval
