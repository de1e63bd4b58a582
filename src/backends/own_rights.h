// What the program itself may do while it reads what strangers wrote (docs/security.md): what its
// flags name, and whatever its workers may, whose rights are at most its own.
#pragma once

#include <string>
#include <vector>

#include "backends/engine_ref.h"
#include "sandbox/rights.h"

namespace crossval {

struct OwnPlaces {
  std::vector<std::string> inputs;   // files; of a split model the first part
  std::vector<std::string> outputs;  // files, or folders with a slash at the end, that may be new
  std::vector<EngineRef> engines;
  std::vector<std::string> may_write;  // --sandbox-write
};

// An engine that is not there gives no right, an empty path neither.
Rights own_rights(const OwnPlaces& places);

}  // namespace crossval
