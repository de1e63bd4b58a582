// The contract's JSON: every key on every exit code, null for what is unknown, never NaN, always
// valid UTF-8 (bytes that are not become U+FFFD), numbers in full precision. Ends with a newline.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

std::string per_token_json(const Report& report, const RenderOptions& options);
std::string parity_json(const ParityReport& report, const RenderOptions& options);
std::string run_json(const RunReport& report, const RenderOptions& options);

}  // namespace crossval
