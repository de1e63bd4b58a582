// The Test Anything Protocol, version 13.
#pragma once

#include <fmt/format.h>

#include "render/checks.h"
#include "render/renderers.h"
#include "render/visible.h"

namespace crossval {

inline std::string tap_result(const Result& result, const RenderOptions&) {
  std::string out = "TAP version 13\n";
  for (const CheckList& list : checks_of(result)) {
    out += fmt::format("1..{}\n", list.checks.size());
    for (size_t i = 0; i < list.checks.size(); ++i) {
      const Check& check = list.checks[i];
      const bool ok =
          check.outcome == Check::Outcome::passed || check.outcome == Check::Outcome::skipped;
      out += fmt::format("{} {} - {}{}\n", ok ? "ok" : "not ok", i + 1, visible(check.name),
                         check.outcome == Check::Outcome::skipped ? " # SKIP" : "");
    }
  }
  return out;
}

}  // namespace crossval
