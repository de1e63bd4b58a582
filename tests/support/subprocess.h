// Runs a program to its end, for tests: what it printed, how it ended, what it needed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace crossval::testing {

struct RunOptions {
  std::map<std::string, std::string> env;  // added to, or replacing, the present environment
  std::string input;                       // stdin; closed after it
  std::string directory;                   // "" = the present one
  int timeout_ms = 120'000;                // then the whole process group is killed
  int64_t max_address_space_bytes = 0;     // 0 = unlimited (RLIMIT_AS)
  int64_t max_file_bytes = 0;              // 0 = unlimited (RLIMIT_FSIZE, SIGXFSZ ignored)
};

struct RunResult {
  int exit_code = -1;  // -1 when ended by a signal
  int signal = 0;
  bool timed_out = false;
  std::string out, err;
  int64_t peak_rss_bytes = 0;
  double wall_ms = 0;
};

// args[0] is the program (looked up in PATH). Throws std::runtime_error when it cannot be started.
RunResult run_program(const std::vector<std::string>& args, const RunOptions& options = {});

}  // namespace crossval::testing
