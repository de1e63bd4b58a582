// What a run tells its user while it goes on. The terminal's half is in cli/; tests give none.
#pragma once

#include <string>

namespace crossval {

class Progress {
 public:
  virtual ~Progress() = default;

  // Names what is being done from now on; "" = nothing worth telling.
  virtual void stage(const std::string& what) = 0;
  // A line for the user that is not an error; silent under --quiet.
  virtual void note(const std::string& line) = 0;
  // A line only --verbose shows.
  virtual void verbose(const std::string& line) = 0;
};

// Tells nobody.
class NoProgress : public Progress {
 public:
  void stage(const std::string&) override {}
  void note(const std::string&) override {}
  void verbose(const std::string&) override {}
};

}  // namespace crossval
