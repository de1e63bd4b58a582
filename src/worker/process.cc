// Spawning, killing and reaping of worker processes.
#include "worker/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <optional>

#include "base/error.h"
#include "engine/wire.h"

namespace crossval {
namespace {

// Keepers of live workers, for kill_all_workers(). A slot is cleared before its process is reaped,
// so that a signal handler never kills a recycled id.
constexpr size_t kMaxWorkers = 64;
std::array<std::atomic<pid_t>, kMaxWorkers> live_keepers{};

int claim_slot(pid_t pid) {
  for (size_t i = 0; i < kMaxWorkers; ++i) {
    pid_t free = 0;
    if (live_keepers[i].compare_exchange_strong(free, pid)) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

struct Pipe {
  UniqueFd read_end, write_end;
};

// Ends are moved above the numbers that the child gives away.
Pipe make_pipe() {
  int fds[2];
  Pipe pipe;
  if (::pipe2(fds, O_CLOEXEC) == 0) {
    UniqueFd read_low(fds[0]);
    UniqueFd write_low(fds[1]);
    pipe.read_end.reset(::fcntl(read_low.get(), F_DUPFD_CLOEXEC, 16));
    pipe.write_end.reset(::fcntl(write_low.get(), F_DUPFD_CLOEXEC, 16));
  }
  if (!pipe.read_end || !pipe.write_end) {
    backend_failed("worker_start", std::string("no pipe for a worker: ") + std::strerror(errno),
                   "worker start", "raise the limit of open files (ulimit -n)");
  }
  return pipe;
}

void set_nonblocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

// Ours, and no spinning: OpenMP threads of an engine that waits for its next request would take
// the cores from the engine whose turn it is (measured: 3.0 s instead of 0.12 s with two engines).
std::vector<std::string> worker_environment(const WorkerCover* cover) {
  std::vector<std::string> env;
  if (cover != nullptr) {
    env = cover->environment;
  } else {
    for (char** variable = environ; *variable != nullptr; ++variable) env.emplace_back(*variable);
  }
  if (::getenv("OMP_WAIT_POLICY") == nullptr) env.emplace_back("OMP_WAIT_POLICY=passive");
  // A debugger that ggml would call as it aborts takes a second, must not look into a worker, and
  // knows nothing that the assertion does not say.
  env.emplace_back("GGML_NO_BACKTRACE=1");
  return env;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> raw;
  raw.reserve(words.size() + 1);
  for (const std::string& word : words) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  return raw;
}

struct ChildPlan {
  char* const* argv;
  char* const* env;
  int null_fd, log_fd, request_fd, reply_fd, status_fd;
  const PreparedRights* rights;  // null: ours
  int model_fd;                  // -1 = none
};

// Between fork and exec: async-signal-safe calls only.
[[noreturn]] void become_worker(const ChildPlan& plan) {
  const bool placed = ::dup2(plan.null_fd, 0) >= 0 && ::dup2(plan.log_fd, 1) >= 0 &&
                      ::dup2(plan.log_fd, 2) >= 0 &&
                      ::dup2(plan.request_fd, kWorkerRequestFd) >= 0 &&
                      ::dup2(plan.reply_fd, kWorkerReplyFd) >= 0 &&
                      (plan.model_fd < 0 || ::dup2(plan.model_fd, kWorkerModelFd) >= 0);
#ifdef SYS_close_range
  constexpr unsigned close_on_exec = 1u << 2;  // CLOSE_RANGE_CLOEXEC
  const unsigned first = kWorkerReplyFd + (plan.model_fd < 0 ? 1u : 2u);
  ::syscall(SYS_close_range, first, ~0u, close_on_exec);
#endif
  int reason = placed && plan.rights != nullptr ? plan.rights->enter() : 0;
  if (placed && reason == 0) {
    ::execve(plan.argv[0], plan.argv, plan.env);
  }
  if (reason == 0) reason = errno;
  [[maybe_unused]] const ssize_t written = ::write(plan.status_fd, &reason, sizeof reason);
  ::_exit(127);
}

const char* signal_words(int number) {
  switch (number) {
    case SIGSEGV:
      return "SIGSEGV (segmentation fault)";
    case SIGILL:
      return "SIGILL (illegal instruction)";
    case SIGKILL:
      return "SIGKILL (killed from outside, or out of memory)";
    case SIGABRT:
      return "SIGABRT (abort)";
    case SIGBUS:
      return "SIGBUS (bus error)";
    case SIGFPE:
      return "SIGFPE (arithmetic error)";
    case SIGTERM:
      return "SIGTERM (terminated)";
    case SIGPIPE:
      return "SIGPIPE (broken pipe)";
    case SIGTRAP:
      return "SIGTRAP (trap)";
    default:
      return nullptr;
  }
}

}  // namespace

std::string ExitInfo::text() const {
  if (signal == 0) {
    return "exited with code " + std::to_string(exit_code);
  }
  const char* words = signal_words(signal);
  return std::string("was killed by ") +
         (words != nullptr ? words : "signal " + std::to_string(signal));
}

std::unique_ptr<ChildProcess> ChildProcess::spawn(const std::vector<std::string>& argv,
                                                  const WorkerCover* cover) {
  static std::once_flag ignore_sigpipe;  // a worker that died must be an Error, not our death
  std::call_once(ignore_sigpipe, [] { ::signal(SIGPIPE, SIG_IGN); });

  Pipe request = make_pipe(), reply = make_pipe(), log = make_pipe(), status = make_pipe();
  const UniqueFd null_fd(::open("/dev/null", O_RDWR | O_CLOEXEC));
  const std::vector<char*> raw = pointers(argv);
  const std::vector<std::string> variables = worker_environment(cover);
  const std::vector<char*> env = pointers(variables);
  // Above what the child gives away, as its pipes are.
  const UniqueFd model_fd(cover != nullptr && cover->model_fd >= 0
                              ? ::fcntl(cover->model_fd, F_DUPFD_CLOEXEC, 16)
                              : -1);
  std::optional<PreparedRights> rights;
  if (cover != nullptr) rights.emplace(cover->rights);
  const ChildPlan plan{raw.data(),
                       env.data(),
                       null_fd.get(),
                       log.write_end.get(),
                       request.read_end.get(),
                       reply.write_end.get(),
                       status.write_end.get(),
                       rights ? &*rights : nullptr,
                       model_fd.get()};
  KeptProcess process = fork_kept([&] { become_worker(plan); });
  if (process.keeper < 0) {
    backend_failed("worker_start",
                   std::string("a worker process could not start: ") + std::strerror(errno),
                   argv[0], "free memory or processes (ulimit -u)");
  }
  std::unique_ptr<ChildProcess> child(new ChildProcess);
  child->process_ = std::move(process);
  child->slot_ = claim_slot(child->process_.keeper);
  child->request_fd = std::move(request.write_end);
  child->reply_fd = std::move(reply.read_end);
  child->log_fd = std::move(log.read_end);
  set_nonblocking(child->request_fd.get());
  set_nonblocking(child->reply_fd.get());
  set_nonblocking(child->log_fd.get());
  // 1 MiB is what the kernel allows ordinary users. Big payloads rather go past the pipe, see
  // Channel::read_memory.
  ::fcntl(child->reply_fd.get(), F_SETPIPE_SZ, 1 << 20);

  request.read_end.reset();
  reply.write_end.reset();
  log.write_end.reset();
  status.write_end.reset();
  int reason = 0;
  ssize_t n = 0;
  do {
    n = ::read(status.read_end.get(), &reason, sizeof reason);
  } while (n < 0 && errno == EINTR);
  if (n == sizeof reason) {
    child->finish(0);
    backend_failed("worker_start",
                   std::string("the worker cannot be started: ") + std::strerror(reason), argv[0],
                   "build it again: crossval setup");
  }
  return child;
}

ChildProcess::~ChildProcess() { finish(0); }

ExitInfo ChildProcess::finish(int grace_ms) {
  if (exit_) {
    return *exit_;
  }
  request_fd.reset();  // a worker ends when its requests do
  if (grace_ms > 0) {
    pollfd fd{exit_fd(), POLLIN, 0};
    ::poll(&fd, 1, grace_ms);
  }
  if (slot_ >= 0) live_keepers[static_cast<size_t>(slot_)] = 0;
  const KeptEnd end = end_kept(process_);
  ExitInfo info;
  info.signal = WIFSIGNALED(end.status) ? WTERMSIG(end.status) : 0;
  info.exit_code = WIFEXITED(end.status) ? WEXITSTATUS(end.status) : 0;
  info.peak_rss_bytes = end.peak_rss_kib * 1024;
  exit_ = info;
  return info;
}

int64_t ChildProcess::peak_rss_bytes() const {
  if (exit_) {
    return exit_->peak_rss_bytes;
  }
  std::ifstream status("/proc/" + std::to_string(pid()) + "/status");
  for (std::string key; status >> key;) {
    if (key == "VmHWM:") {
      int64_t kib = 0;
      status >> kib;
      return kib * 1024;
    }
    status.ignore(4096, '\n');
  }
  return 0;
}

void kill_all_workers() {
  for (const auto& keeper : live_keepers) {
    if (const pid_t pid = keeper.load(); pid > 0) ask_keeper_to_end(pid);
  }
  // Reaped here too: where process 1 does not reap orphans (containers), they would stay.
  for (auto& keeper : live_keepers) {
    if (const pid_t pid = keeper.exchange(0); pid > 0) wait_for_keeper(pid);
  }
}

}  // namespace crossval
