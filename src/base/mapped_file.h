// A file mapped read-only into memory for as long as the object lives.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace crossval {

class MappedFile {
 public:
  // Throws bad_input when the path is missing, not a regular file, empty or unreadable. `what`
  // names its role in the messages: "model file", "trace".
  MappedFile(const std::string& path, const std::string& what);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace crossval
