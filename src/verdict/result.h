// What a command ends with, whichever it was.
#pragma once

#include <variant>

#include "verdict/conversion_report.h"
#include "verdict/finding.h"
#include "verdict/inspect_report.h"
#include "verdict/report.h"
#include "verdict/trace_report.h"

namespace crossval {

using Result =
    std::variant<Report, ParityReport, RunReport, TraceReport, InspectReport, ConversionReport>;

Status status_of(const Result& result);
inline int exit_code_of(const Result& result) { return static_cast<int>(status_of(result)); }
// Null where there is none.
const ErrorReport* error_of(const Result& result);
Finding finding_of(const Result& result);
// Whether anything is known beyond an error.
bool holds_something(const Result& result);
// Ids to print (--dump-ids).
std::vector<TokenDump> dumps_of(const Result& result);
// An error that came after the result was made decides its status.
void set_error(Result& result, const Error& error);
void set_run(Result& result, const RunInfo& run);

}  // namespace crossval
