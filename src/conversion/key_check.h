// Every key below the architecture's name against config.json.
#pragma once

#include "conversion/paired_tensor.h"
#include "verdict/conversion_report.h"

namespace crossval {

void check_keys(const ConversionModel& of, ConversionReport& report);

}  // namespace crossval
