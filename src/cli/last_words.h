// What is said where nothing can be said any more: a mapped file that was cut short under us
// (SIGBUS), and a deadline that passed while we were computing. One object of the command's own
// schema on stdout, a line on stderr, workers ended, exit.
#pragma once

#include <string>

namespace crossval {

struct LastWords {
  std::string out, err;  // whole, as they are to be written
};

// Both made in advance: a signal handler can only write. `deadline` is for start_deadline().
void prepare_last_words(LastWords of_sigbus, LastWords of_deadline);

// A run that is `seconds` old ends with an Error of its own (base/deadline.h), or a little later
// with the last words, where it was not waiting for anybody.
void start_deadline(double seconds);

}  // namespace crossval
