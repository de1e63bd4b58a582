// The sentences of several engines, and of one alone.
#include <fmt/format.h>

#include <algorithm>

#include "verdict/finding.h"
#include "verdict/report.h"

namespace crossval {

Finding finding_of(const ParityReport& report) {
  if (report.vote) return {report.vote->reason, {}};
  const bool nothing_compared =
      std::all_of(report.pairs.begin(), report.pairs.end(),
                  [](const Report& pair) { return pair.error.has_value(); });
  if (nothing_compared && !report.pairs.empty()) return finding_of(report.pairs.front());
  if (report.status() == Status::agree) {
    return {fmt::format("all {} engines agree", report.participants.size()), {}};
  }
  return {"no single outlier can be named", {}};
}

Finding finding_of(const RunReport& report) {
  if (report.error) return {report.error->what, {}};
  std::string words;
  if (report.prompt_tokens_per_second) {
    words += fmt::format("prompt {:.1f} tokens/s, ", *report.prompt_tokens_per_second);
  }
  if (report.decode_tokens_per_second) {
    words += fmt::format("decode {:.1f} tokens/s, ", *report.decode_tokens_per_second);
  }
  if (report.peak_rss_bytes) {
    words += fmt::format("peak memory {} MiB, ", *report.peak_rss_bytes / (1 << 20));
  }
  return {words + fmt::format("{:.0f} ms in all", report.total_ms), {}};
}

}  // namespace crossval
