// What the report says of an engine, and of the time one prompt took it; --verbose of its log.
#pragma once

#include <string>

#include "engine/engine.h"
#include "run/progress.h"
#include "verdict/report.h"

namespace crossval {

// `selected_by` is the backend's; "" for the engine.
EngineReport describe_engine(Engine& engine, const std::string& selected_by);

// Counters that grow over prompts, less what they were; start and load stay.
EngineTiming timing_since(EngineTiming now, const EngineTiming& before);

// The last lines of its log, for --verbose.
void show_log(Engine& engine, Progress& progress);

}  // namespace crossval
