// A row for each position (per-token, compare, run), tensor (trace, trace-diff) or setting
// (trace --self), for pandas and spreadsheets: RFC 4180, with a header of the JSON's keys, nested
// ones joined by '.'. Unknown is an empty field. With several engines each row names its pair, with
// several prompts its prompt; the header comes once.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

std::string csv_result(const Result& result, const RenderOptions& options);

}  // namespace crossval
