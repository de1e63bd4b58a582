// The table of output formats.
#include "render/renderers.h"

#include <fmt/format.h>

#include "base/error.h"
#include "render/json.h"
#include "render/text.h"
#include "render/trace_json.h"
#include "render/trace_text.h"

namespace crossval {
namespace {

constexpr Renderer kTable[] = {
    {"text", per_token_text, parity_text, run_text, trace_text},
    {"json", per_token_json, parity_json, run_json, trace_json},
};

}  // namespace

std::span<const Renderer> renderers() { return kTable; }

const Renderer& find_renderer(const std::string& name) {
  std::string known;
  for (const Renderer& renderer : kTable) {
    if (name == renderer.name) return renderer;
    known += (known.empty() ? "" : ", ") + std::string(renderer.name);
  }
  bad_input("unknown_format", fmt::format("'{}' is not an output format", name), "--format",
            "choose from: " + known);
}

}  // namespace crossval
