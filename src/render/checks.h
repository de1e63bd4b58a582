// A result as a list of checks, each passed, failed, skipped or not possible: what test reports
// hold.
#pragma once

#include <string>
#include <vector>

#include "verdict/result.h"

namespace crossval {

struct Check {
  enum class Outcome { passed, failed, error, skipped };
  std::string name;  // "position 3", "Kcur-3 ROPE"
  Outcome outcome = Outcome::passed;
  std::string message;  // why it did not pass, in a line
  std::string details;  // more lines; "" = none
};

// One list for each two engines compared; one for everything else.
struct CheckList {
  std::string name;   // "per-token", "trace", ...
  std::string sides;  // "native against llama.cpp 0.5.0"
  std::string model;  // path
  double time_ms = 0;
  Finding finding;
  Status status = Status::bad_input;
  std::string date;  // ISO 8601, "" = unknown
  std::vector<Check> checks;
};

std::vector<CheckList> checks_of(const Result& result);

}  // namespace crossval
