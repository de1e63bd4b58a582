// Results as JSON: every key on every exit code, null for what is unknown, never NaN, always valid
// UTF-8 (bytes that are not become U+FFFD), numbers in full precision. Ends with a newline.
#pragma once

#include <string>

#include "render/json_writer.h"
#include "render/renderers.h"
#include "verdict/inspect_report.h"

namespace crossval {

// One line for each member, and one for each element of its lists of objects: long runs stay
// readable, diffable and small.
std::string write_json(const Json& object, const RenderOptions& options);

template <class T>
std::string json_of(const T& report, const RenderOptions& options) {
  return write_json(to_json(report), options);
}
// The model's facts are keys of the object itself.
Json to_json(const InspectReport& report);
std::string json_result(const Result& result, const RenderOptions& options);

}  // namespace crossval
