#include "base/printable.h"

namespace crossval {

std::string printable(std::string_view text, size_t max_len) {
  static const char digits[] = "0123456789abcdef";
  const bool cut = text.size() > max_len;
  std::string out;
  for (const char c : text.substr(0, max_len)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += {'<', digits[byte >> 4], digits[byte & 15], '>'};
    }
  }
  return cut ? out + "..." : out;
}

}  // namespace crossval
