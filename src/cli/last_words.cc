#include "cli/last_words.h"

#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <string_view>
#include <thread>

#include "base/atomic_file.h"
#include "base/deadline.h"
#include "base/error.h"
#include "worker/process.h"

namespace crossval {
namespace {

AllLastWords all_words;  // never changed once a handler can run
pid_t of_process = 0;

[[noreturn]] void end_with(const LastWords& words, Status status) {
  if (::getpid() != of_process) ::_exit(static_cast<int>(status));  // its parent says it
  write_all(STDOUT_FILENO, words.out);
  write_all(STDERR_FILENO, words.err);
  kill_all_workers();
  ::_exit(static_cast<int>(status));
}

extern "C" void on_sigbus(int) { end_with(all_words.sigbus, Status::bad_input); }
void on_terminate() {
  if (of_process != 0) end_with(all_words.terminate, Status::bad_input);
  constexpr std::string_view kWords = "bad_input: there is not enough memory [out_of_memory]\n";
  write_all(STDERR_FILENO, kWords);
  ::_exit(static_cast<int>(Status::bad_input));
}

}  // namespace

void end_in_words() { std::set_terminate(on_terminate); }

void prepare_last_words(AllLastWords words) {
  all_words = std::move(words);
  of_process = ::getpid();
  struct sigaction action = {};
  action.sa_handler = on_sigbus;
  ::sigaction(SIGBUS, &action, nullptr);
}

void start_deadline(double seconds) {
  set_run_deadline(std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000)));
}

void watch_deadline() {
  const auto left = time_to_run_deadline();
  if (!left) return;
  // For the Error that comes by itself to be told.
  constexpr std::chrono::milliseconds grace(1500);
  std::thread([end = *left + grace] {
    std::this_thread::sleep_for(end);
    end_with(all_words.deadline, Status::backend_failed);
  }).detach();
}

}  // namespace crossval
