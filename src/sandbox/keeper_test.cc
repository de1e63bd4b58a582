// Whatever a program did to get away, and whatever befell its keeper, nothing of it is left.
#include "sandbox/keeper.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace crossval {
namespace {

bool is_gone(pid_t pid) { return ::kill(pid, 0) != 0 && errno == ESRCH; }

bool is_gone_soon(pid_t pid) {
  for (int i = 0; i < 200 && !is_gone(pid); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return is_gone(pid);
}

// A program that leaves a daemon in a session of its own, whose id it tells, and then does `rest`.
struct Escape {
  explicit Escape(void (*rest)()) {
    int ends[2];
    if (::pipe(ends) != 0) std::abort();
    process = fork_kept([&] {
      if (::fork() == 0) {
        ::setsid();
        if (::fork() != 0) ::_exit(0);
        const pid_t pid = ::getpid();
        if (::write(ends[1], &pid, sizeof pid) != sizeof pid) ::_exit(1);
        for (;;) ::pause();
      }
      rest();
    });
    ::close(ends[1]);
    if (::read(ends[0], &daemon, sizeof daemon) != sizeof daemon) std::abort();
    ::close(ends[0]);
  }
  KeptProcess process;
  pid_t daemon = -1;
};

void wait_for_ever() {
  for (;;) ::pause();
}

TEST(Keeper, what_a_program_left_ends_with_it) {
  Escape escape([] {
    ::usleep(300'000);  // for the daemon to tell
    ::_exit(7);
  });
  EXPECT_TRUE(is_gone_soon(escape.daemon));
  const KeptEnd end = end_kept(escape.process);
  ASSERT_TRUE(WIFEXITED(end.status));
  EXPECT_EQ(WEXITSTATUS(end.status), 7);
  EXPECT_GT(end.peak_rss_kib, 0);
}

TEST(Keeper, ends_a_program_and_what_it_started) {
  Escape escape(wait_for_ever);
  EXPECT_FALSE(is_gone(escape.daemon));
  const KeptEnd end = end_kept(escape.process);
  EXPECT_TRUE(WIFSIGNALED(end.status));
  EXPECT_TRUE(is_gone(escape.process.pid));
  EXPECT_TRUE(is_gone(escape.daemon));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

// What a keeper does not do any more, we do.
TEST(Keeper, one_that_is_stopped_or_killed_holds_nobody) {
  for (const int number : {SIGSTOP, SIGKILL}) {
    Escape escape(wait_for_ever);
    ::kill(escape.process.keeper, number);
    const auto start = std::chrono::steady_clock::now();
    end_kept(escape.process);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    EXPECT_TRUE(is_gone_soon(escape.process.pid));
    EXPECT_TRUE(is_gone_soon(escape.daemon));
  }
}

}  // namespace
}  // namespace crossval
