// `trace --self` for people: a row for each setting.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

// Of a report that has `self`.
std::string self_table(const TraceReport& report, const RenderOptions& options);

}  // namespace crossval
