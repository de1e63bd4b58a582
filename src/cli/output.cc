#include "cli/output.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "render/receipt.h"
#include "render/renderers.h"
#include "render/text.h"

namespace crossval {

int Output::emit(Report& report) {
  print_dumps(report);
  const Renderer& json = find_renderer("json");
  if (!receipt_path_.empty()) {
    receipt_ += json.per_token(report, {.one_line = many_});
    try {
      write_receipt(receipt_path_, receipt_);
    } catch (const Error& error) {
      // The comparison stands and is printed; that its record is lost decides the exit code.
      if (report.error) print_error(report.error, report.status);
      set_error(report, error);
    }
  }
  if (options_.format == OutputFormat::json) {
    std::cout << json.per_token(report, {.one_line = many_}) << std::flush;
  } else if (!report.error || !report.positions.empty() || report.tokens.first_mismatch) {
    std::cout << find_renderer("text").per_token(report, {.color = isatty(STDOUT_FILENO) == 1})
              << std::flush;
  }
  print_error(report.error, report.status);
  return report.exit_code();
}

int Output::emit(ParityReport& report) {
  for (const Report& pair : report.pairs) print_dumps(pair);
  const Renderer& json = find_renderer("json");
  std::optional<Error> receipt_error;
  if (!receipt_path_.empty()) {
    receipt_ += json.parity(report, {.one_line = many_});
    try {
      write_receipt(receipt_path_, receipt_);
    } catch (const Error& error) {
      receipt_error = error;
    }
  }
  const bool as_json = options_.format == OutputFormat::json;
  // Without participants there is only an error, which goes to stderr.
  if (as_json) {
    std::cout << json.parity(report, {.one_line = many_}) << std::flush;
  } else if (!report.participants.empty()) {
    std::cout << find_renderer("text").parity(report, {.color = isatty(STDOUT_FILENO) == 1})
              << std::flush;
  }
  std::string last;  // an engine that cannot be used fails alike in each of its pairs
  for (const Report& pair : report.pairs) {
    if (!pair.error || pair.error->what == last) continue;
    last = pair.error->what;
    if (as_json || report.participants.empty()) print_error(pair.error, pair.status);
  }
  if (!receipt_error) return static_cast<int>(report.status());
  // The comparison stands and is printed; that its record is lost decides the exit code.
  const Error& e = *receipt_error;
  print_error(ErrorReport{e.code, e.what_, e.where, e.fix}, e.status);
  return std::max(static_cast<int>(report.status()), static_cast<int>(e.status));
}

int Output::emit(RunReport& report) {
  const bool as_json = options_.format == OutputFormat::json;
  if (as_json || !report.error) {
    const Renderer& renderer = find_renderer(as_json ? "json" : "text");
    std::cout << renderer.run(report, {.color = isatty(STDOUT_FILENO) == 1, .one_line = many_})
              << std::flush;
  }
  print_error(report.error, report.status);
  return report.exit_code();
}

int Output::emit(TraceReport& report) {
  Report& base = report.base;
  print_dumps(base);
  const Renderer& json = find_renderer("json");
  if (!receipt_path_.empty()) {
    receipt_ += json.trace(report, {.one_line = many_});
    try {
      write_receipt(receipt_path_, receipt_);
    } catch (const Error& error) {
      if (base.error) print_error(base.error, base.status);
      set_error(base, error);
    }
  }
  if (options_.format == OutputFormat::json) {
    std::cout << json.trace(report, {.one_line = many_}) << std::flush;
  } else if (!base.error || !report.taps.empty() || base.tokens.first_mismatch) {
    std::cout << find_renderer("text").trace(report, {.color = isatty(STDOUT_FILENO) == 1})
              << std::flush;
  }
  print_error(base.error, base.status);
  return base.exit_code();
}

// --dump-ids and --dump-cpp-ids; stdout holds the JSON alone.
void Output::print_dumps(const Report& report) const {
  std::ostream& to = options_.format == OutputFormat::json ? std::cerr : std::cout;
  for (const TokenDump& dump : report.dumps) to << token_list_text(dump.side, dump.tokens);
}

void Output::print_error(const std::optional<ErrorReport>& error, Status status) const {
  if (error) std::cerr << error_text(*error, status, {.color = isatty(STDERR_FILENO) == 1});
}

}  // namespace crossval
