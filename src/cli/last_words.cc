#include "cli/last_words.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/deadline.h"
#include "base/error.h"
#include "worker/process.h"

namespace crossval {
namespace {

LastWords sigbus_words, deadline_words;  // never changed once a handler can run

void write_whole(int fd, const std::string& text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n <= 0) return;
    done += static_cast<size_t>(n);
  }
}

[[noreturn]] void end_with(const LastWords& words, Status status) {
  write_whole(STDOUT_FILENO, words.out);
  write_whole(STDERR_FILENO, words.err);
  kill_all_workers();
  ::_exit(static_cast<int>(status));
}

extern "C" void on_sigbus(int) { end_with(sigbus_words, Status::bad_input); }

}  // namespace

void prepare_last_words(LastWords of_sigbus, LastWords of_deadline) {
  sigbus_words = std::move(of_sigbus);
  deadline_words = std::move(of_deadline);
  struct sigaction action = {};
  action.sa_handler = on_sigbus;
  ::sigaction(SIGBUS, &action, nullptr);
}

void start_deadline(double seconds) {
  const std::chrono::milliseconds run(static_cast<int64_t>(seconds * 1000));
  set_run_deadline(run);
  // For the Error that comes by itself to be told.
  constexpr std::chrono::milliseconds grace(1500);
  std::thread([end = run + grace] {
    std::this_thread::sleep_for(end);
    end_with(deadline_words, Status::backend_failed);
  }).detach();
}

}  // namespace crossval
