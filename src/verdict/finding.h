// What a result means, in sentences: made here once, and shown alike by text, page, JSON and every
// other output. Names and pieces stand in them as they came, so an output escapes them its own way.
#pragma once

#include <string>
#include <vector>

namespace crossval {

struct Report;
struct ParityReport;
struct RunReport;
struct TraceReport;
struct InspectReport;
struct ConversionReport;

struct Finding {
  std::string headline;            // one sentence, without the status
  std::vector<std::string> notes;  // in the order in which they matter
};

// Of a result that ended in an error: what happened.
Finding finding_of(const Report& report);
Finding finding_of(const ParityReport& report);
Finding finding_of(const RunReport& report);
Finding finding_of(const TraceReport& report);
Finding finding_of(const InspectReport& report);
Finding finding_of(const ConversionReport& report);

}  // namespace crossval
