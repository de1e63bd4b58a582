// The sentences of check-conversion.
#include <fmt/format.h>

#include <map>

#include "verdict/conversion_report.h"
#include "verdict/finding.h"

namespace crossval {

Finding finding_of(const ConversionReport& report) {
  if (report.error) return {report.error->what, {}};
  Finding finding;
  if (report.faults.empty()) {
    finding.headline = fmt::format(
        "the GGUF is what its checkpoint makes: {} tensors, {} keys, {} "
        "tokens agree",
        report.tensors.compared, report.keys.compared, report.tokens.compared);
  } else {
    finding.headline =
        fmt::format("{} thing{} in the GGUF {} not as the checkpoint has {}", report.faults.size(),
                    report.faults.size() == 1 ? "" : "s", report.faults.size() == 1 ? "is" : "are",
                    report.faults.size() == 1 ? "it" : "them");
  }
  constexpr size_t kShown = 8;
  for (size_t i = 0; i < report.faults.size() && i < kShown; ++i) {
    const ConversionFault& fault = report.faults[i];
    finding.notes.push_back(
        fmt::format("{}: {}", fault.where, fault.cause.empty() ? fault.explanation : fault.cause));
  }
  if (report.faults.size() > kShown) {
    finding.notes.push_back(fmt::format("and {} more", report.faults.size() - kShown));
  }
  if (!report.not_compared.empty()) {
    finding.notes.push_back(fmt::format("{} not compared", report.not_compared.size()));
  }
  return finding;
}

}  // namespace crossval
