// A trace for people: the worst of each layer, the culprit among its neighbours, one sentence.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

std::string trace_text(const TraceReport& report, const RenderOptions& options);

}  // namespace crossval
