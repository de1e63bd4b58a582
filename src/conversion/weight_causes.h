// Why the weights of a tensor are not what its source makes of them: hypotheses that are tried in
// turn. One is named only when with it every weight is right.
#pragma once

#include <string>
#include <vector>

#include "conversion/paired_tensor.h"
#include "conversion/tensor_check.h"

namespace crossval {

struct WeightCause {
  std::string cause;   // "" = none explains it
  std::string source;  // the tensor of the checkpoint that it is instead
};

WeightCause find_weight_cause(const PairedTensor& pair, const std::vector<PairedTensor>& all,
                              const ConversionModel& of, ThreadPool& pool);

}  // namespace crossval
