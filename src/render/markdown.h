// For a job's summary or a comment on a pull request: the finding, what was compared, and the few
// rows that matter, folded away. Nothing in it is markup but ours, and it does not grow with the
// prompt.
#pragma once

#include <string>

#include "render/renderers.h"

namespace crossval {

std::string markdown_result(const Result& result, const RenderOptions& options);

}  // namespace crossval
