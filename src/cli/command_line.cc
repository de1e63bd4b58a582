#include "cli/command_line.h"

#include <array>
#include <ctime>

#include "backends/state_dir.h"
#include "base/server_url.h"
#include "base/version.h"
#include "cli/commit.h"

namespace crossval {
namespace {

RunInfo& remembered() {
  static RunInfo run;
  return run;
}

}  // namespace

void remember_command_line(const std::vector<std::string>& args) {
  RunInfo& run = remembered();
  run.command.clear();
  for (const std::string& arg : args) {
    run.command += (run.command.empty() ? "" : " ") + shell_quoted(without_credentials(arg));
  }
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  std::array<char, 32> text{};
  if (gmtime_r(&now, &utc) != nullptr &&
      std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc) > 0) {
    run.date = text.data();
  }
  run.version = version();
  run.commit = commit();
}

void remember_sandbox(const std::string& words) { remembered().sandbox = words; }

RunInfo run_info() { return remembered(); }

}  // namespace crossval
