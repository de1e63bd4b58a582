// A GGUF against the Hugging Face checkpoint that it was made from: keys, vocabulary, template and
// every weight.
#pragma once

#include <functional>
#include <string>

#include "verdict/conversion_report.h"

namespace crossval {

struct ConversionPlan {
  std::string model, checkpoint;
  int n_threads = 1;
  std::function<void(const std::string&)> tell;  // of what is being done
};

// A file that cannot be used is an error in the report.
ConversionReport check_conversion(const ConversionPlan& plan);

}  // namespace crossval
