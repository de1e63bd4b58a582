#include "sandbox/children.h"

#include <dirent.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <fstream>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace crossval {
namespace {

class SpawnThread {
 public:
  static SpawnThread& instance() {
    static SpawnThread* thread = new SpawnThread;  // never destroyed: its thread never ends
    return *thread;
  }

  void run(const std::function<void()>& task) {
    const std::lock_guard one_caller(callers_);
    std::unique_lock lock(mutex_);
    task_ = &task;
    changed_.notify_all();
    changed_.wait(lock, [this] { return task_ == nullptr; });
  }

 private:
  SpawnThread() {
    std::thread([this] {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_BLOCK, &all, nullptr);
      std::unique_lock lock(mutex_);
      for (;;) {
        changed_.wait(lock, [this] { return task_ != nullptr; });
        (*task_)();
        task_ = nullptr;
        changed_.notify_all();
      }
    }).detach();
  }

  std::mutex callers_, mutex_;
  std::condition_variable changed_;
  const std::function<void()>* task_ = nullptr;
};

// Those that fork_for_life gave out. Held across fork, so that nobody takes a child that was just
// born for a stray.
struct Known {
  std::mutex mutex;
  std::set<pid_t> pids;
};
Known& known() {
  static Known* one = new Known;  // never destroyed: children may outlive static objects
  return *one;
}

int kill_and_reap(pid_t pid) {
  int status = 0;
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

std::vector<pid_t> children_now() {
  std::vector<pid_t> pids;
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(::opendir("/proc/self/task"), ::closedir);
  if (!threads) return pids;
  while (const dirent* entry = ::readdir(threads.get())) {
    if (entry->d_name[0] == '.') continue;
    std::ifstream list(std::string("/proc/self/task/") + entry->d_name + "/children");
    for (pid_t pid = 0; list >> pid;) pids.push_back(pid);
  }
  return pids;
}

}  // namespace

void begin_child(pid_t parent) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // it died before the line above
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

pid_t fork_for_life(const std::function<void()>& child) {
  static std::once_flag adopt;
  std::call_once(adopt, [] { ::prctl(PR_SET_CHILD_SUBREAPER, 1); });
  const pid_t parent = ::getpid();
  pid_t pid = -1;
  int reason = 0;
  const std::lock_guard lock(known().mutex);
  SpawnThread::instance().run([&] {
    pid = ::fork();
    if (pid == 0) {
      begin_child(parent);
      child();
      ::_exit(127);
    }
    reason = errno;
  });
  if (pid > 0) known().pids.insert(pid);
  errno = reason;
  return pid;
}

void forget_child(pid_t pid) {
  const std::lock_guard lock(known().mutex);
  known().pids.erase(pid);
  // The children of a stray become ours when it has been reaped; a thousand generations are a bomb
  // that has no end.
  for (int round = 0; round < 1000; ++round) {
    bool any = false;
    for (const pid_t stray : children_now()) {
      if (known().pids.contains(stray)) continue;
      any = true;
      kill_and_reap(stray);
    }
    if (!any) return;
  }
}

int end_child(pid_t pid) {
  const int status = kill_and_reap(pid);
  forget_child(pid);
  return status;
}

}  // namespace crossval
