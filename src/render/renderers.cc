// The table of output formats.
#include "render/renderers.h"

#include <fmt/format.h>

#include "base/error.h"
#include "render/csv.h"
#include "render/json.h"
#include "render/junit.h"
#include "render/markdown.h"
#include "render/text.h"
#ifdef CROSSVAL_EXTENSION  // tests/extension: a row as a newcomer adds it
#include "extension/tap_output.h"
#endif

namespace crossval {
namespace {

constexpr Renderer kTable[] = {
    {.name = "text", .meaning = "for people", .render = text_result, .shows_errors = false},
    {.name = "json", .meaning = "everything, docs/json.md", .render = json_result},
    {.name = "junit",
     .meaning = "a test report that CI systems show",
     .render = junit_result,
     .begin = junit_begin,
     .end = junit_end},
    {.name = "markdown", .meaning = "a job summary or comment", .render = markdown_result},
    {.name = "csv", .meaning = "a row for each position or tensor", .render = csv_result},
#ifdef CROSSVAL_EXTENSION
#include "extension/renderer_rows.h"
#endif
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
