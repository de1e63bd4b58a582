// Schema crossval/trace/1 (the contract), every key on every exit code.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

std::string trace_json(const TraceReport& report, const RenderOptions& options);

}  // namespace crossval
