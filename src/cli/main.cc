// Signals, standard streams and exit code of the program.
#include <csignal>

#include "cli/dispatch.h"
#include "cli/last_words.h"
#include "cli/standard_streams.h"
#include "worker/process.h"

namespace {

extern "C" void on_interrupt(int signal_number) {
  crossval::kill_all_workers();
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

}  // namespace

int main(int argc, char** argv) {
  crossval::end_in_words();
  crossval::open_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a file past its limit is an error of writing
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
  return crossval::close_stdout(
      crossval::dispatch(argc, argv, [](const crossval::Action& action) { return action(); }));
}
