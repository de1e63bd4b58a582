// What is in a model file, and whether native can run it.
#pragma once

#include <string>

#include "verdict/inspect_report.h"

namespace crossval {

// `i2_s_layout` as --i2s-layout takes it. `scan_weights`: whether to look for NaN and Inf in them.
// A file that cannot be used is an error in the report.
InspectReport inspect_model(const std::string& path, const std::string& i2_s_layout,
                            bool scan_weights = true);

}  // namespace crossval
