// The sentences of inspect.
#include <fmt/format.h>

#include "verdict/finding.h"
#include "verdict/inspect_report.h"

namespace crossval {

Finding finding_of(const InspectReport& report) {
  if (report.error) return {report.error->what, {}};
  const auto word = [&](const char* key) {
    const auto found = report.facts.find(key);
    return found != report.facts.end() && found->is_string() ? found->get<std::string>()
                                                             : std::string("unknown");
  };
  Finding finding;
  finding.headline = fmt::format("{} {}", word("architecture"), word("quantization"));
  const auto non_finite = report.facts.find("non_finite_weight");
  if (non_finite != report.facts.end() && non_finite->is_string()) {
    finding.notes.push_back("nan/inf: a weight is NaN or Inf: " + non_finite->get<std::string>());
  }
  const auto native = report.facts.find("native");
  if (native == report.facts.end() || !native->is_object()) return finding;
  const auto& reason = (*native)["reason"];
  finding.headline += reason.is_string() ? ", native does not run it" : ", native runs it";
  if (reason.is_string()) finding.notes.push_back("native: " + reason.get<std::string>());
  return finding;
}

}  // namespace crossval
