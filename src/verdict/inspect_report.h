// What `crossval inspect` found: schema crossval/inspect/1 (docs/json.md).
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "verdict/report.h"

namespace crossval {

struct InspectReport {
  Status status = Status::bad_input;  // agree is shown as "ok"
  // The model's own keys, tensors and types, whatever they are; `path` alone where it is unusable.
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();
  std::optional<ErrorReport> error;
  RunInfo run = {};
};

}  // namespace crossval
