// `crossval inspect` for people.
#pragma once

#include <string>

#include "verdict/inspect_report.h"

namespace crossval {

std::string inspect_text(const InspectReport& report);

}  // namespace crossval
