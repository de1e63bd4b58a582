#include "cli/report.h"

#include <fmt/format.h>

#include <filesystem>
#include <iostream>
#include <iterator>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "render/receipt_reader.h"
#include "render/report_page.h"
#include "render/text.h"

namespace crossval {
namespace {

void write_report(const ReportOptions& options) {
  std::vector<Receipt> receipts;
  for (const std::string& path : options.receipts) {
    std::error_code ignored;
    if (std::filesystem::equivalent(path, options.output, ignored)) {
      bad_input("output_is_input", "the page would replace the receipt", options.output,
                "name another file after -o");
    }
    std::vector<Receipt> more = read_receipts(path);
    std::move(more.begin(), more.end(), std::back_inserter(receipts));
  }
  write_file_atomically(options.output, report_page(receipts));
  if (!options.quiet) {
    std::cerr << fmt::format("{}: {}\n", options.output, receipts_words(receipts));
  }
}

}  // namespace

int run_report(const ReportOptions& options) {
  try {
    write_report(options);
    return 0;
  } catch (const Error& error) {
    std::cerr << error_text({error.code, error.what_, error.where, error.fix}, error.status, {});
    return static_cast<int>(error.status);
  }
}

}  // namespace crossval
