// Words that several findings use.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "verdict/finding.h"
#include "verdict/model_diff.h"

namespace crossval {

inline std::string plural(int64_t n, const std::string& noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

// What differs in the two sides' files comes before everything else that there is to say.
inline void add_model_diff(const std::optional<ModelDiff>& diff, Finding& finding) {
  if (!diff) return;
  const std::vector<std::string> notes = model_diff_notes(*diff);
  finding.notes.insert(finding.notes.begin(), notes.begin(), notes.end());
}

}  // namespace crossval
