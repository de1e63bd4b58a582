// `trace --self` for people: a row for each setting, then what they mean together.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

// Of a report that has `self`.
std::string self_table(const TraceReport& report, const RenderOptions& options);
// When nothing diverged.
std::string self_meaning(const TraceReport& report);

}  // namespace crossval
