// `crossval inspect MODEL`: what is in a model file and whether native can run it.
#pragma once

#include <string>

namespace crossval {

struct InspectOptions {
  std::string model;
  bool json = false;
  std::string i2_s_layout = "auto";
};

// Prints on stdout (JSON: schema crossval/inspect/1); a file that cannot be used is exit 3 and its
// Error. Never throws.
int run_inspect(const InspectOptions& options);

}  // namespace crossval
