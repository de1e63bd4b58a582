// Table and JSON of the backends' states; each ready one was really started.
#include "cli/backends.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "backends/preflight.h"
#include "base/error.h"

namespace crossval {
namespace {

nlohmann::json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

nlohmann::json to_json(const BackendStatus& status) {
  return {{"name", status.name},
          {"display_name", status.display_name},
          {"state", backend_state_name(status.state)},
          {"version", text_or_null(status.version)},
          {"api_era", text_or_null(status.api_era)},
          {"library", text_or_null(status.library)},
          {"dir", text_or_null(status.dir)},
          {"dir_source", text_or_null(status.dir_source)},
          {"worker", text_or_null(status.worker)},
          {"searched", status.searched},
          {"reason", text_or_null(status.reason)},
          {"fix", text_or_null(status.fix)},
          {"hint", text_or_null(status.hint)}};
}

void print_text(const BackendStatus& status) {
  std::printf("%-8s %-13s %-11s %s\n", status.name.c_str(), status.display_name.c_str(),
              backend_state_name(status.state), status.version.c_str());
  if (!status.library.empty()) {
    std::printf("         library  %s\n", status.library.c_str());
  }
  if (status.state != BackendState::ready) {
    std::printf("         why      %s\n", status.reason.c_str());
    std::printf("         fix      %s\n", status.fix.c_str());
    if (!status.hint.empty()) {
      std::printf("                  (%s)\n", status.hint.c_str());
    }
    for (const std::string& place : status.searched) {
      std::printf("         searched %s\n", place.c_str());
    }
  }
}

}  // namespace

int run_backends(const BackendsOptions& options) {
  const auto all = preflight_all(true);
  if (options.json) {
    nlohmann::json out = {{"schema", "crossval/backends/1"},
                          {"status", "ok"},
                          {"exit_code", 0},
                          {"backends", nlohmann::json::array()}};
    for (const BackendStatus& status : all) {
      out["backends"].push_back(to_json(status));
    }
    std::printf("%s\n", out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else {
    for (const BackendStatus& status : all) {
      print_text(status);
    }
  }
  return std::fflush(stdout) == 0 ? 0 : static_cast<int>(Status::bad_input);
}

}  // namespace crossval
