// Progress on stderr: a stage that takes longer than a second is announced, with its running time
// on a terminal. Nothing is printed for quick stages.
#pragma once

#include <memory>
#include <string>

#include "run/plan.h"
#include "run/progress.h"

namespace crossval {

class TerminalProgress : public Progress {
 public:
  explicit TerminalProgress(const CommonOptions& options);
  ~TerminalProgress() override;
  TerminalProgress(const TerminalProgress&) = delete;
  TerminalProgress& operator=(const TerminalProgress&) = delete;

  void stage(const std::string& what) override;
  void note(const std::string& line) override;
  void verbose(const std::string& line) override;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace crossval
