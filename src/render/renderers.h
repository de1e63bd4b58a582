// The output formats. A renderer turns a report into the whole of stdout; it never throws on data.
#pragma once

#include <span>
#include <string>

#include "verdict/report.h"
#include "verdict/trace_report.h"

namespace crossval {

struct RenderOptions {
  bool color = false;     // text: ANSI colours
  bool one_line = false;  // json: the object on a single line (--prompts)
};

struct Renderer {
  const char* name;  // --format
  std::string (*per_token)(const Report& report, const RenderOptions& options);
  std::string (*parity)(const ParityReport& report, const RenderOptions& options);
  std::string (*run)(const RunReport& report, const RenderOptions& options);
  std::string (*trace)(const TraceReport& report, const RenderOptions& options);
};

std::span<const Renderer> renderers();
// Throws bad_input for an unknown name.
const Renderer& find_renderer(const std::string& name);

}  // namespace crossval
