#include "engine/tap.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include "base/error.h"
#include "base/printable.h"

namespace crossval {

TapRegex::TapRegex(const std::string& text) : text_(text) {
  if (text.empty()) return;
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(1 << 20);
  regex_ = std::make_shared<const re2::RE2>(text, options);
  if (regex_->ok()) return;
  bad_input("bad_regex",
            fmt::format("'{}' is not a regular expression: {}", printable(text), regex_->error()),
            "--taps", "give an expression as RE2 takes them, such as 'Kcur|Vcur' or '^ffn_.*-3$'");
}

bool TapRegex::found_in(const std::string& name) const {
  return !regex_ || re2::RE2::PartialMatch(name, *regex_);
}

bool TapFilter::wants(const std::string& name, int layer) const {
  if (first_layer >= 0 && layer < first_layer) return false;
  if (last_layer >= 0 && (layer < 0 || layer > last_layer)) return false;
  return name_regex.found_in(name);
}

}  // namespace crossval
