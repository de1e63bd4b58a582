#include "backends/run_command.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <sstream>

namespace fs = std::filesystem;

namespace crossval {
namespace {

constexpr size_t kMaxOutputBytes = 1u << 20;
constexpr int kGraceMs = 60'000;

// Cuts what came into lines.
class Lines {
 public:
  explicit Lines(const std::function<void(const std::string&)>& tell) : tell_(tell) {}
  void add(const char* text, size_t n) {
    if (!tell_) return;
    for (const char c : std::string_view(text, n)) {
      if (c != '\n' && c != '\r') {
        line_ += c;
      } else {
        end();
      }
    }
  }
  void end() {
    if (tell_ && !line_.empty()) tell_(line_);
    line_.clear();
  }

 private:
  const std::function<void(const std::string&)>& tell_;
  std::string line_;
};

}  // namespace

CommandResult run_command(const std::vector<std::string>& argv,
                          const std::function<void(const std::string&)>& on_line) {
  const auto process = ChildProcess::spawn(argv);
  CommandResult result;
  Lines lines(on_line);
  char buffer[8192];
  for (;;) {
    pollfd fd{process->log_fd.get(), POLLIN, 0};
    ::poll(&fd, 1, -1);
    const ssize_t n = ::read(process->log_fd.get(), buffer, sizeof buffer);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) break;
    if (n <= 0) continue;
    const auto size = static_cast<size_t>(n);
    if (result.output.size() < kMaxOutputBytes) result.output.append(buffer, size);
    lines.add(buffer, size);
  }
  lines.end();
  result.exit = process->finish(kGraceMs);
  return result;
}

std::string path_of_program(const std::string& program) {
  std::error_code ignored;
  if (fs::is_regular_file(program, ignored)) return fs::absolute(program, ignored).string();
  if (program.find('/') != std::string::npos) return program;
  const char* path = std::getenv("PATH");
  std::istringstream dirs(path != nullptr ? path : "");
  for (std::string dir; std::getline(dirs, dir, ':');) {
    const fs::path candidate = fs::path(dir) / program;
    if (!dir.empty() && ::access(candidate.c_str(), X_OK) == 0 &&
        fs::is_regular_file(candidate, ignored)) {
      return candidate.string();
    }
  }
  return program;
}

}  // namespace crossval
