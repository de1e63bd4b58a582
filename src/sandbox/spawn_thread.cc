#include "sandbox/spawn_thread.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

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

}  // namespace

pid_t fork_for_life(const std::function<void()>& child) {
  pid_t pid = -1;
  int reason = 0;
  SpawnThread::instance().run([&] {
    pid = ::fork();
    if (pid == 0) {
      child();
      ::_exit(127);
    }
    reason = errno;
  });
  errno = reason;
  return pid;
}

}  // namespace crossval
