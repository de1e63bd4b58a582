#include "support/subprocess.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <stdexcept>

namespace crossval::testing {
namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(int i) {
    if (ends[i] >= 0) ::close(ends[i]);
    ends[i] = -1;
  }
};

void limit(int resource, int64_t bytes) {
  if (bytes <= 0) return;
  const rlimit limits{static_cast<rlim_t>(bytes), static_cast<rlim_t>(bytes)};
  ::setrlimit(static_cast<__rlimit_resource>(resource), &limits);
}

[[noreturn]] void become(const std::vector<std::string>& args, const RunOptions& options, Pipe& in,
                         Pipe& out, Pipe& err, Pipe& failure) {
  ::setpgid(0, 0);
  ::dup2(in.ends[0], 0);
  ::dup2(out.ends[1], 1);
  ::dup2(err.ends[1], 2);
  ::signal(SIGPIPE, SIG_DFL);
  if (options.max_file_bytes > 0) ::signal(SIGXFSZ, SIG_IGN);
  limit(RLIMIT_AS, options.max_address_space_bytes);
  limit(RLIMIT_FSIZE, options.max_file_bytes);
  for (const auto& [key, value] : options.env) ::setenv(key.c_str(), value.c_str(), 1);
  int code = 0;
  if (!options.directory.empty() && ::chdir(options.directory.c_str()) != 0) code = errno;
  if (code == 0) {
    std::vector<char*> argv;
    argv.reserve(args.size() + 1);
    for (const std::string& arg : args) argv.push_back(const_cast<char*>(arg.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    code = errno;
  }
  [[maybe_unused]] const ssize_t ignored = ::write(failure.ends[1], &code, sizeof(code));
  ::_exit(127);
}

// Feeds stdin and gathers both outputs until both are closed or the time is over.
bool pump(const RunOptions& options, Pipe& in, Pipe& out, Pipe& err, RunResult& result,
          Clock::time_point deadline) {
  size_t fed = 0;
  if (options.input.empty()) in.close_end(1);
  ::fcntl(in.ends[1], F_SETFL, O_NONBLOCK);
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    pollfd polled[3] = {
        {out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}, {in.ends[1], POLLOUT, 0}};
    if (::poll(polled, 3, static_cast<int>(std::min<int64_t>(left, 1000))) < 0) continue;
    for (int i = 0; i < 2; ++i) {
      if (polled[i].revents == 0) continue;
      char buffer[65536];
      Pipe& pipe = i == 0 ? out : err;
      const ssize_t n = ::read(pipe.ends[0], buffer, sizeof(buffer));
      if (n > 0) {
        (i == 0 ? result.out : result.err).append(buffer, static_cast<size_t>(n));
      } else {
        pipe.close_end(0);
      }
    }
    if (polled[2].revents != 0) {
      const ssize_t n = ::write(in.ends[1], options.input.data() + fed, options.input.size() - fed);
      if (n > 0) fed += static_cast<size_t>(n);
      if (n <= 0 || fed == options.input.size()) in.close_end(1);
    }
  }
  return true;
}

}  // namespace

RunResult run_program(const std::vector<std::string>& args, const RunOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  const auto begin = Clock::now();
  const auto deadline = begin + std::chrono::milliseconds(options.timeout_ms);
  Pipe in, out, err, failure;
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("fork failed");
  if (child == 0) become(args, options, in, out, err, failure);
  ::setpgid(child, child);
  in.close_end(0);
  out.close_end(1);
  err.close_end(1);
  failure.close_end(1);

  RunResult result;
  int start_error = 0;
  const bool started = ::read(failure.ends[0], &start_error, sizeof(start_error)) <= 0;
  bool ended = !started || pump(options, in, out, err, result, deadline);
  rusage usage{};
  int status = 0;
  // Both outputs are closed: the program ends now, or closed them and lives on.
  while (started && ended && ::wait4(child, &status, WNOHANG, &usage) == 0) {
    ended = Clock::now() < deadline;
    if (!ended) break;
    ::usleep(200);
  }
  if (!started || !ended) {
    ::kill(-child, SIGKILL);
    while (::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
    }
  }
  if (!started) {
    throw std::runtime_error("cannot start " + args[0] + ": " + std::strerror(start_error));
  }
  result.timed_out = !ended;
  if (WIFEXITED(status)) result.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) result.signal = WTERMSIG(status);
  result.peak_rss_bytes = static_cast<int64_t>(usage.ru_maxrss) * 1024;
  result.wall_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
  return result;
}

}  // namespace crossval::testing
