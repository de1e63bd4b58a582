// The captured tensors of two saved runs, one by one. That nothing could be compared is an error,
// never agreement.
#pragma once

#include "compare/pair_taps.h"
#include "run/plan.h"
#include "verdict/trace_report.h"

namespace crossval {

// On an Error the report says so.
TraceReport trace_diff(const CompareOptions& options);

// What a pair says of the distance at its tensor.
TapDistance distance_of(const TapPair& pair);

}  // namespace crossval
