// crossval report: receipts as one self-contained page. A receipt that cannot be used is exit 3
// with its Error, and then no page is written.
#include "cli/commands.h"

#include <fmt/format.h>

#include <iostream>
#include <iterator>
#include <utility>

#include "base/atomic_file.h"
#include "base/error.h"
#include "cli/cover.h"
#include "cli/flags.h"
#include "cli/replaceable.h"
#include "render/receipt_reader.h"
#include "render/report_page.h"
#include "render/text.h"

namespace crossval {
namespace {

struct ReportOptions {
  std::vector<std::string> receipts;
  std::string output;
  bool quiet = false;
  Sandbox sandbox = Sandbox::automatic;
};

void write_report(const ReportOptions& options) {
  check_replaceable("-o", options.output, OutputKind::page, options.receipts);
  std::vector<Receipt> receipts;
  for (const std::string& path : options.receipts) {
    std::vector<Receipt> more = read_receipts(path);
    std::move(more.begin(), more.end(), std::back_inserter(receipts));
  }
  write_file_atomically(options.output, report_page(receipts));
  if (!options.quiet) {
    std::cerr << fmt::format("{}: {}\n", options.output, receipts_words(receipts));
  }
}

int run_report(const ReportOptions& options) {
  try {
    go_under_cover(
        options.sandbox,
        {.inputs = options.receipts, .outputs = {options.output}, .engines = {}, .may_write = {}});
    write_report(options);
    return 0;
  } catch (const Error& error) {
    std::cerr << error_text({error.code, error.what_, error.where, error.fix}, error.status, {});
    return static_cast<int>(error.status);
  }
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand(
      "report", "Receipts (--receipt, or saved --format json) as one self-contained HTML page");
  command->footer("Example:\n  crossval report receipt.json -o report.html");
  const auto options = std::make_shared<ReportOptions>();
  command->add_option("RECEIPT", options->receipts, "JSON of per-token, trace or run")
      ->required()
      ->type_name("FILE...");
  command->add_option("-o,--output", options->output, "The page to write")
      ->required()
      ->type_name("FILE");
  add_sandbox_flag(*command, options->sandbox);
  command->add_flag("--quiet", options->quiet, "Nothing on stderr but errors");
  command->callback([options, &action] { action = [options] { return run_report(*options); }; });
}

}  // namespace crossval
