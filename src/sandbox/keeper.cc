// The keeper adopts what loses its parent below it (PR_SET_CHILD_SUBREAPER), so that killing its
// children until there are none reaches everything. It hears of our death as a SIGTERM
// (PR_SET_PDEATHSIG). It is a copy of ours that does not exec, and keeps to calls that are safe in
// such a copy; pages that we change later stay there as they were.
#include "sandbox/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/atomic_file.h"
#include "sandbox/children.h"

namespace crossval {
namespace {

constexpr int kPatienceMs = 2000;  // with a keeper that somebody stopped

// What a keeper says, twice: that the program runs, or why not; and that it ended.
struct Word {
  int32_t pid = 0, reason = 0, status = 0;
  int64_t peak_rss_kib = 0;
};

// Lines of a file under /proc, without memory of its own.
class Lines {
 public:
  explicit Lines(const char* path) : fd_(::open(path, O_RDONLY | O_CLOEXEC)) {}
  ~Lines() { ::close(fd_); }
  Lines(const Lines&) = delete;
  Lines& operator=(const Lines&) = delete;

  // The text up to `end` or the last byte; nullptr = there is none. Cut at 255 bytes.
  const char* next(char end) {
    size_t n = 0;
    bool any = false;
    for (char c = 0; read_one(c);) {
      any = true;
      if (c == end) break;
      if (n + 1 < text_.size()) text_[n++] = c;
    }
    text_[n] = 0;
    return any ? text_.data() : nullptr;
  }

 private:
  bool read_one(char& c) {
    if (at_ == n_) {
      at_ = 0;
      do {
        n_ = ::read(fd_, buffer_.data(), buffer_.size());
      } while (n_ < 0 && errno == EINTR);
      if (n_ <= 0) return n_ = 0, false;
    }
    c = buffer_[static_cast<size_t>(at_++)];
    return true;
  }

  int fd_;
  ssize_t at_ = 0, n_ = 0;
  std::array<char, 4096> buffer_{};
  std::array<char, 256> text_{};
};

void close_all_but(int kept) {
  const auto from = [](unsigned first, unsigned last) {
    if (first > last) return true;
#ifdef SYS_close_range
    return ::syscall(SYS_close_range, first, last, 0) == 0;
#else
    return false;
#endif
  };
  const auto one = static_cast<unsigned>(kept);
  if (from(0, one - 1) && from(one + 1, ~0u)) return;
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  for (int fd = 0; fd < static_cast<int>(limit.rlim_cur); ++fd) {
    if (fd != kept) ::close(fd);
  }
}

// Whatever is left below us. The children of a stray become ours by its death; a thousand
// generations are a bomb that has no end.
void kill_strays() {
  for (int round = 0; round < 1000; ++round) {
    int n_killed = 0;
    Lines children("/proc/thread-self/children");
    while (const char* word = children.next(' ')) {
      pid_t pid = 0;
      std::from_chars(word, word + std::strlen(word), pid);
      if (pid > 0 && ::kill(pid, SIGKILL) == 0) ++n_killed;
    }
    if (n_killed == 0) return;
    while (n_killed-- > 0 && (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR)) {
    }
  }
}

bool report(int fd, const Word& word) {
  return write_all(fd, {reinterpret_cast<const char*>(&word), sizeof word}) == sizeof word;
}

// Until the program ended, by itself or because we were asked to end it.
Word wait_for(pid_t pid, const sigset_t& signals) {
  for (;;) {
    int status = 0;
    rusage usage{};
    for (pid_t ended = 0; (ended = ::wait4(-1, &status, WNOHANG, &usage)) > 0;) {
      if (ended == pid) return {.pid = pid, .status = status, .peak_rss_kib = usage.ru_maxrss};
    }
    if (::sigwaitinfo(&signals, nullptr) != SIGTERM) continue;
    ::kill(-pid, SIGKILL);
    ::kill(pid, SIGKILL);  // wherever it went itself
  }
}

[[noreturn]] void keep(pid_t parent, int report_fd, const std::function<void()>& child) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGCHLD);
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(127);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::prctl(PR_SET_NAME, "crossval-keeper");
  const pid_t keeper = ::getpid(), pid = ::fork();
  if (pid == 0) {
    begin_child(keeper);
    child();
    ::_exit(127);
  }
  if (!report(report_fd, {.pid = pid, .reason = errno}) || pid < 0) {
    if (pid > 0) ::kill(pid, SIGKILL);
    ::_exit(127);
  }
  ::setpgid(pid, pid);  // also from here: whoever comes first
  close_all_but(report_fd);
  const Word end = wait_for(pid, signals);
  kill_strays();
  report(report_fd, end);
  ::_exit(0);
}

bool read_word(int fd, Word& word) {
  return read_all(fd, reinterpret_cast<char*>(&word), sizeof word);
}

}  // namespace

KeptProcess fork_kept(const std::function<void()>& child) {
  KeptProcess process;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return process;
  // Above what a child gives away before it execs.
  UniqueFd low_read(ends[0]), low_write(ends[1]);
  process.end.reset(::fcntl(low_read.get(), F_DUPFD_CLOEXEC, 16));
  UniqueFd write_end(::fcntl(low_write.get(), F_DUPFD_CLOEXEC, 16));
  low_read.reset();
  low_write.reset();
  if (!process.end || !write_end) return process;
  const pid_t parent = ::getpid();
  const pid_t keeper = fork_for_life([&] { keep(parent, write_end.get(), child); });
  if (keeper < 0) return process;
  write_end.reset();
  Word word;
  const bool is_told = read_word(process.end.get(), word);
  if (!is_told) word.reason = EAGAIN;  // it was killed
  if (is_told && word.pid > 0) {
    process.keeper = keeper;
    process.pid = word.pid;
    return process;
  }
  end_child(keeper);
  errno = word.reason;
  return process;
}

void ask_keeper_to_end(pid_t keeper) { ::kill(keeper, SIGTERM); }

void wait_for_keeper(pid_t keeper) {
  for (int waited_ms = 0; waited_ms < kPatienceMs; ++waited_ms) {
    siginfo_t info{};
    const int n = ::waitid(P_PID, static_cast<id_t>(keeper), &info, WEXITED | WNOHANG | WNOWAIT);
    if (n < 0 && errno == ECHILD) return;  // somebody reaped it: its number may be another's now
    if (n == 0 ? info.si_pid == keeper : errno != EINTR) break;
    ::poll(nullptr, 0, 1);
  }
  ::kill(keeper, SIGKILL);  // as in end_kept
  while (::waitpid(keeper, nullptr, 0) < 0 && errno == EINTR) {
  }
}

KeptEnd end_kept(KeptProcess& process) {
  ask_keeper_to_end(process.keeper);
  pollfd fd{process.end.get(), POLLIN, 0};
  while (::poll(&fd, 1, kPatienceMs) < 0 && errno == EINTR) {
  }
  // A keeper that is stopped: the program ends with it (PR_SET_PDEATHSIG), what is left becomes
  // ours.
  end_child(process.keeper);
  Word word;
  const bool is_told = read_word(process.end.get(), word);
  process.end.reset();
  return is_told ? KeptEnd{word.status, word.peak_rss_kib} : KeptEnd{.status = SIGKILL};
}

}  // namespace crossval
