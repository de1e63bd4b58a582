#include "engine/tap.h"

#include <fmt/format.h>

#include "base/error.h"
#include "base/printable.h"

namespace crossval {

TapRegex::TapRegex(const std::string& text) : text_(text) {
  constexpr size_t max_length = 1000;  // std::regex compiles by recursion: long ones end the stack
  constexpr const char* fix = "give an ECMAScript expression such as 'Kcur|Vcur' or '^ffn_.*-3$'";
  if (text.empty()) return;
  if (text.size() > max_length) {
    bad_input("bad_regex", fmt::format("an expression of {} characters is too long", text.size()),
              "--taps", fix);
  }
  try {
    regex_ = std::make_shared<const std::regex>(
        text, std::regex::ECMAScript | std::regex::nosubs | std::regex::optimize);
  } catch (const std::regex_error& error) {
    bad_input("bad_regex",
              fmt::format("'{}' is not a regular expression: {}", printable(text), error.what()),
              "--taps", fix);
  }
}

bool TapRegex::found_in(const std::string& name) const {
  return !regex_ || std::regex_search(name, *regex_);
}

bool TapFilter::wants(const std::string& name, int layer) const {
  if (first_layer >= 0 && layer < first_layer) return false;
  if (last_layer >= 0 && (layer < 0 || layer > last_layer)) return false;
  return name_regex.found_in(name);
}

}  // namespace crossval
