// A folder of its own for a test, removed with everything in it at the end.
#pragma once

#include <filesystem>
#include <string>

namespace crossval::testing {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string file(const std::string& name) const { return path_ + "/" + name; }
  int n_entries() const;  // to show that nothing was left behind

 private:
  std::string path_;
};

// Whole files, for tests that damage or inspect them.
std::string read_text(const std::string& path);
void write_text(const std::string& path, const std::string& content);

}  // namespace crossval::testing
