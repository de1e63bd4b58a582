// `crossval report RECEIPT... -o FILE.html`: receipts as one self-contained page.
#pragma once

#include <string>
#include <vector>

namespace crossval {

struct ReportOptions {
  std::vector<std::string> receipts;
  std::string output;
  bool quiet = false;
};

// 0 when the page was written, whatever the receipts say; a receipt that cannot be used is exit 3
// with its Error, and then no page is written. Never throws.
int run_report(const ReportOptions& options);

}  // namespace crossval
