// Reports for people: every position with its verdict, then one line that says what it means.
#pragma once

#include <span>
#include <string>

#include "render/renderers.h"

namespace crossval {

std::string per_token_text(const Report& report, const RenderOptions& options);
std::string parity_text(const ParityReport& report, const RenderOptions& options);
std::string run_text(const RunReport& report, const RenderOptions& options);

// One side's ids and pieces, one a line (--dump-ids, --dump-cpp-ids).
std::string token_list_text(const std::string& side, std::span<const TokenText> tokens);

// What happened, where, how to fix it; for stderr too.
std::string error_text(const ErrorReport& error, Status status, const RenderOptions& options);

// Model and prompt, without the engines.
std::string heading_text(const Report& report);

// Model, both engines and prompt, a line each.
std::string sides_text(const Report& report);

// The ids around the first mismatch, side by side; "" when there is none.
std::string mismatch_text(const Report& report, const RenderOptions& options);

// What the engines warned of, when they diverged; else nothing.
std::string log_text(const Report& report);

// A finding with its status: the headline, then each note on a line.
std::string finding_text(const Finding& finding, const char* status);
std::string meaning_text(const Report& report);
// The first line coloured. Ends with a newline.
std::string painted_meaning(const std::string& meaning, bool good, const RenderOptions& options);

std::string text_result(const Result& result, const RenderOptions& options);

}  // namespace crossval
