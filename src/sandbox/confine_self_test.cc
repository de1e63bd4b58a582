// A process that gave up its rights tries what it may no longer do, and what it still has to.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <functional>

#include "base/atomic_file.h"
#include "base/error.h"
#include "sandbox/confined_task.h"
#include "sandbox/rights.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using testing::read_text;
using testing::TempDir;
using testing::write_text;

constexpr int kNotConfined = 254;

class ConfineSelf : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kernel_offers().missing().empty()) GTEST_SKIP() << kernel_offers().missing().front();
    for (const std::string& folder : {out_, other_}) ::mkdir(folder.c_str(), 0700);
    write_text(other_ + "/secret", "s");
    write_text(other_ + "/input", "i");
  }

  // What `body` gives in a child that confined itself: 0, or an errno.
  int in_child(const std::function<int()>& body) const {
    const pid_t pid = ::fork();
    if (pid == 0) {
      const OwnCover cover = confine_self({.read = {"/usr", "/lib", "/lib64", "/etc", "/proc"},
                                           .look = {other_ + "/input"},
                                           .output = {out_},
                                           .write = {"/dev/null"}});
      ::_exit(cover.files && cover.calls ? body() : kNotConfined);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  // The same for a call that says -1 and errno.
  int attempt(const std::function<long()>& call) const {
    return in_child([&] { return call() >= 0 ? 0 : errno; });
  }
  int open_file(const std::string& path, int flags) const {
    return attempt([&] { return ::open(path.c_str(), flags, 0600); });
  }

  TempDir dir_;
  std::string out_ = dir_.file("out"), other_ = dir_.file("other");
};

TEST_F(ConfineSelf, writes_where_its_outputs_are_and_nowhere_else) {
  EXPECT_EQ(open_file(out_ + "/new", O_WRONLY | O_CREAT), 0);
  EXPECT_EQ(open_file("/dev/null", O_RDWR), 0);
  EXPECT_EQ(open_file(other_ + "/new", O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(open_file(dir_.file("new"), O_WRONLY | O_CREAT), EACCES);
  EXPECT_EQ(open_file(other_ + "/input", O_WRONLY), EACCES);
  EXPECT_EQ(open_file(other_ + "/secret", O_WRONLY | O_TRUNC), EACCES);
  EXPECT_EQ(attempt([&] { return ::unlink((other_ + "/secret").c_str()); }), EACCES);
  EXPECT_EQ(attempt([&] { return ::mkdir((other_ + "/folder").c_str(), 0700); }), EACCES);
  EXPECT_NE(
      attempt([&] { return ::rename((other_ + "/secret").c_str(), (out_ + "/secret").c_str()); }),
      0);
  EXPECT_EQ(read_text(other_ + "/secret"), "s");
}

TEST_F(ConfineSelf, reads_what_is_named) {
  EXPECT_EQ(open_file(other_ + "/input", O_RDONLY), 0);
  EXPECT_EQ(open_file("/etc/passwd", O_RDONLY), 0);
  EXPECT_EQ(open_file(other_ + "/secret", O_RDONLY), EACCES);
  write_text(out_ + "/script", "#!/bin/sh\n");
  ::chmod((out_ + "/script").c_str(), 0700);
  EXPECT_EQ(open_file(out_ + "/script", O_RDONLY), EACCES);
  EXPECT_EQ(attempt([&] { return ::execl((out_ + "/script").c_str(), "script", nullptr); }),
            EACCES);
  // A file that is not there is told as such, whatever the rights.
  EXPECT_EQ(open_file(other_ + "/none", O_RDONLY), ENOENT);
  EXPECT_EQ(open_file(other_ + "/none/new", O_WRONLY | O_CREAT), ENOENT);
}

TEST_F(ConfineSelf, an_atomic_file_can_be_written_and_replaced) {
  for (const char* content : {"first", "second"}) {
    EXPECT_EQ(in_child([&] {
                try {
                  write_file_atomically(out_ + "/result", content);
                  return 0;
                } catch (const Error&) {
                  return 1;
                }
              }),
              0);
    EXPECT_EQ(read_text(out_ + "/result"), content);
  }
}

TEST_F(ConfineSelf, no_network_and_nothing_of_the_machine) {
  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK}) {
    EXPECT_EQ(attempt([&] { return ::socket(family, SOCK_STREAM, 0); }), EPERM) << family;
  }
  for (const long number :
       {SYS_mount, SYS_bpf, SYS_keyctl, SYS_kexec_load, SYS_init_module, SYS_userfaultfd,
        SYS_perf_event_open, SYS_io_uring_setup, SYS_unshare, SYS_setns, SYS_open_by_handle_at}) {
    EXPECT_EQ(attempt([&] { return ::syscall(number, 0, 0, 0, 0, 0, 0); }), EPERM) << number;
  }
  char key = '\n';
  EXPECT_EQ(attempt([&] { return ::ioctl(0, TIOCSTI, &key); }), EPERM);
  EXPECT_EQ(attempt([&] { return ::ioctl(0, FIOCLEX); }), 0);  // which is another request
}

TEST_F(ConfineSelf, reaches_into_no_other_process) {
  const pid_t parent = ::getpid();
  static int ours = 7;
  EXPECT_EQ(attempt([&] { return ::ptrace(PTRACE_ATTACH, parent, nullptr, nullptr); }), EPERM);
  EXPECT_EQ(attempt([&] { return ::kill(parent, SIGCONT); }), EPERM);
  EXPECT_NE(open_file("/proc/" + std::to_string(parent) + "/mem", O_RDONLY), 0);
  EXPECT_NE(open_file("/proc/" + std::to_string(parent) + "/environ", O_RDONLY), 0);
  int value = 8;
  iovec local{&value, sizeof value}, remote{&ours, sizeof ours};
  EXPECT_EQ(attempt([&] { return ::process_vm_writev(parent, &local, 1, &remote, 1, 0); }), EPERM);
  EXPECT_EQ(ours, 7);
}

// Which has fewer rights, and whose memory stays readable to us.
TEST_F(ConfineSelf, children_can_be_started_and_confined_further) {
  EXPECT_EQ(in_child([&] {
              const pid_t pid = ::fork();
              if (pid == 0) ::execl("/bin/true", "true", nullptr);
              int status = 1;
              return ::waitpid(pid, &status, 0) == pid ? WEXITSTATUS(status) : errno;
            }),
            0);
  EXPECT_EQ(in_child([&] {
              ConfinedTask task(
                  [&] {
                    return [&](const ConfinedTask::Fields&) -> ConfinedTask::Fields {
                      static int answer = 42;
                      const int in = ::open((other_ + "/input").c_str(), O_RDONLY);
                      const int out = ::open((out_ + "/x").c_str(), O_WRONLY | O_CREAT, 0600);
                      return {std::to_string(in >= 0), std::to_string(out >= 0),
                              std::to_string(::getpid()),
                              std::to_string(reinterpret_cast<uintptr_t>(&answer))};
                    };
                  },
                  {.read = {other_ + "/input", other_ + "/secret"}});
              const auto fields = task.call({"go"}, 10'000, {});
              int value = 0;
              iovec local{&value, sizeof value};
              iovec remote{reinterpret_cast<void*>(std::stoull(fields.at(3))), sizeof value};
              const bool is_read = ::process_vm_readv(std::stoi(fields.at(2)), &local, 1, &remote,
                                                      1, 0) == sizeof value;
              return fields.at(0) == "1" && fields.at(1) == "0" && is_read && value == 42 ? 0 : 1;
            }),
            0);
}

}  // namespace
}  // namespace crossval
