// What is said where nothing can be said any more: a mapped file that was cut short under us
// (SIGBUS), a deadline that passed while we were computing, and an exception where none may pass
// (no memory within a noexcept function). One object of the command's own schema on stdout, a line
// on stderr, workers ended, exit.
#pragma once

#include <string>

namespace crossval {

struct LastWords {
  std::string out, err;  // whole, as they are to be written
};

// From the very beginning, before there are words of a command: a line on stderr.
void end_in_words();

struct AllLastWords {
  LastWords sigbus, deadline, terminate;  // `deadline` is for start_deadline()
};

// Made in advance: a signal handler can only write. A child of ours has no last words.
void prepare_last_words(AllLastWords words);

// A run that is `seconds` old ends with an Error of its own (base/deadline.h).
void start_deadline(double seconds);
// And a little later with the last words, where it was not waiting for anybody. Starts a thread,
// which has the rights of this moment.
void watch_deadline();

}  // namespace crossval
