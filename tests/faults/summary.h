// The table of a run of the suite, its misses, and whether the thresholds of the project are met.
#pragma once

#include <span>
#include <string>

#include "faults/suite.h"

namespace crossval::testing {

// Per class: pairs, detected, right tensor, right cause; then every miss, said and wanted.
std::string summary_text(std::span<const Outcome> outcomes);

// At least 95 % of faults detected at the right tensor, 80 % of hyperparameter and layout faults
// with the right cause, every tokenizer fault refused as one, no false alarm, something judged.
bool meets_thresholds(std::span<const Outcome> outcomes);

}  // namespace crossval::testing
