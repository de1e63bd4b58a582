// Who is at fault among three or more engines: the one that differs from all others while those
// agree among themselves. Anything less clear names nobody.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "verdict/report.h"

namespace crossval {

// How two participants compare.
struct PairOutcome {
  size_t a = 0, b = 0;
  Status status = Status::backend_failed;
};

// A participant that could be compared with nobody has no vote. Absent when fewer than three are
// left, when two of them could not be compared, or when there is not exactly one outlier.
std::optional<Vote> vote(const std::vector<std::string>& names,
                         std::span<const PairOutcome> outcomes);

}  // namespace crossval
