// Where a command's result goes: stdout in the asked format, the receipt file, errors on stderr.
#pragma once

#include <string>

#include "run/plan.h"
#include "verdict/report.h"
#include "verdict/trace_report.h"

namespace crossval {

class Output {
 public:
  Output(const CommonOptions& options, std::string receipt_path)
      : options_(options), receipt_path_(std::move(receipt_path)) {}

  // Several results: JSON objects are one a line, on stdout and in the receipt.
  void set_many(bool many) { many_ = many; }

  // Prints a report and writes the receipt (whole, with all reports so far). Returns the exit
  // code: the report's, or bad_input when the receipt cannot be written.
  int emit(Report& report);
  int emit(RunReport& report);
  int emit(ParityReport& report);
  int emit(TraceReport& report);

 private:
  void print_dumps(const Report& report) const;
  void print_error(const std::optional<ErrorReport>& error, Status status) const;

  const CommonOptions& options_;
  std::string receipt_path_, receipt_;
  bool many_ = false;
};

}  // namespace crossval
