// check-conversion as text.
#pragma once

#include <string>

#include "verdict/conversion_report.h"

namespace crossval {

std::string conversion_text(const ConversionReport& report);

}  // namespace crossval
