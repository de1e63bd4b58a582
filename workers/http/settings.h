// --backend-opt of the http worker, checked.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "dialect.h"

namespace crossval::http {

struct AllSettings {
  Settings dialect;
  std::chrono::milliseconds timeout{};
  // What the user says the server was started with; it cannot be asked.
  std::map<std::string, std::string> said;
};

// Throws bad_input that lists the known ones.
AllSettings parse_settings(const std::map<std::string, std::string>& texts);

}  // namespace crossval::http
