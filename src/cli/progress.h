// Progress on stderr: a stage that takes longer than a second is announced, with its running time
// on a terminal. Nothing is printed for quick stages.
#pragma once

#include <memory>
#include <string>

#include "cli/options.h"

namespace crossval {

class Progress {
 public:
  explicit Progress(const CommonOptions& options);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Names what is being done from now on; "" = nothing worth telling.
  void stage(const std::string& what);

  // A line for the user that is not an error; silent under --quiet.
  void note(const std::string& line);
  // A line only --verbose shows.
  void verbose(const std::string& line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crossval
