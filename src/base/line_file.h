// A file of lines that come one at a time: many results' receipt. What was there before stays until
// the first one; every line is there whole or not at all.
#pragma once

#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace crossval {

class LineFile {
 public:
  explicit LineFile(std::string path) : path_(std::move(path)) {}

  // Throws bad_input ("disk_full", "cannot_write"): then the file is as before, and the line goes
  // before the next one.
  void append(std::string_view line);

 private:
  void append_to_open();

  std::string path_, pending_;
  UniqueFd fd_;  // none before the first line
};

}  // namespace crossval
