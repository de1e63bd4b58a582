#include "verdict/report.h"

#include <algorithm>

namespace crossval {

ErrorReport error_report(const Error& error) {
  return {error.code, error.what_, error.where, error.fix};
}

void set_judgement(Report& report, Judgement judgement) {
  report.positions = std::move(judgement.positions);
  report.summary = judgement.summary;
  report.status = judgement.status;
}

void hold_files_apart(Report& report) {
  const bool none_diverged =
      report.status == Status::agree || report.status == Status::inconclusive;
  if (none_diverged && report.model_diff && report.model_diff->bears()) {
    report.status = Status::diverged;
  }
}

void set_error(Report& report, const Error& error) {
  report.status = error.status;
  report.error = error_report(error);
}

void set_error(RunReport& report, const Error& error) {
  report.status = error.status;
  report.error = error_report(error);
}

Status ParityReport::status() const {
  if (pairs.empty()) return Status::bad_input;
  const auto worst = std::max_element(pairs.begin(), pairs.end(), [](const auto& a, const auto& b) {
    return a.exit_code() < b.exit_code();
  });
  return receipt_error && worst->exit_code() < static_cast<int>(Status::bad_input)
             ? Status::bad_input
             : worst->status;
}

std::optional<ErrorReport> ParityReport::error() const {
  for (const Report& pair : pairs) {
    if (pair.error) return pair.error;
  }
  return receipt_error;
}

}  // namespace crossval
