#include "backends/early_setup.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <map>
#include <optional>
#include <sstream>

#include "base/atomic_file.h"
#include "base/deadline.h"
#include "base/error.h"
#include "base/unique_fd.h"

namespace crossval {
namespace {

std::map<std::string, Error>& failures() {
  static std::map<std::string, Error> all;  // by the engine's folder
  return all;
}

// An Error on its way through a pipe: fields that end with a zero.
std::string encode(const Error& error) {
  std::string text;
  for (const std::string& field : {std::to_string(static_cast<int>(error.status)), error.code,
                                   error.what_, error.where, error.fix}) {
    text += field + '\0';
  }
  return text;
}

std::optional<Error> decode(const std::string& text) {
  std::istringstream in(text);
  std::string status, code, what, where, fix;
  for (std::string* field : {&status, &code, &what, &where, &fix}) {
    if (!std::getline(in, *field, '\0')) return std::nullopt;
  }
  return Error(static_cast<Status>(std::stoi(status)), code, what, where, fix);
}

[[noreturn]] void set_up_and_end(const SetupOptions& options, int answer_fd) {
  try {
    setup_backend(options);
  } catch (const Error& error) {
    write_all(answer_fd, encode(error));
  } catch (const std::exception&) {  // no memory: whoever tries again says it
  }
  std::fflush(nullptr);
  ::_exit(0);
}

// Until the other end is closed, or the run is over.
std::string read_answer(int fd) {
  constexpr int a_day_ms = 86'400'000;
  std::string text;
  for (;;) {
    pollfd polled{fd, POLLIN, 0};
    const int n_ready = ::poll(&polled, 1, bounded_by_run_deadline(a_day_ms));
    if (n_ready < 0 && errno == EINTR) continue;
    if (n_ready <= 0) return text;
    char buffer[4096];
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
}

}  // namespace

SetupOptions early_setup(const BackendStatus& status, const Tell& tell) {
  return {.backend = status.name,
          .dir = status.dir,
          .include_dir = "",
          .remember = false,
          .on_progress = tell};
}

// Not with fork_for_life, whose thread would keep all rights.
void set_up_early(const BackendStatus& status, const Tell& tell) {
  int ends[2] = {-1, -1};
  if (::pipe2(ends, O_CLOEXEC) != 0) return;
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  std::fflush(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    // Which ends the compilers too, as for Ctrl-C.
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(0);
    set_up_and_end(early_setup(status, tell), write_end.get());
  }
  if (child < 0) return;
  write_end.reset();
  const std::string answer = read_answer(read_end.get());
  ::kill(child, SIGTERM);  // where the run is over; else it is ending
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (const auto error = decode(answer)) failures().emplace(status.dir, *error);
}

void throw_early_failure(const BackendStatus& status) {
  if (const auto found = failures().find(status.dir); found != failures().end()) {
    throw Error(found->second);
  }
}

}  // namespace crossval
