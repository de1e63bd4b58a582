#include "base/mapped_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace crossval {

MappedFile::MappedFile(const std::string& path, const std::string& what) : path_(path) {
  // O_NONBLOCK: opening a FIFO that nobody writes to must not hang; it is refused below.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int code = errno;
    if (code == ENOENT || code == ENOTDIR) {
      bad_input("missing_file", fmt::format("the {} does not exist", what), path, "check the path");
    }
    bad_input("unreadable_file",
              fmt::format("the {} cannot be opened: {}", what, std::strerror(code)), path,
              "check the file's permissions");
  }
  struct stat status {};
  const bool known = ::fstat(fd, &status) == 0;
  if (!known || !S_ISREG(status.st_mode)) {
    const bool folder = known && S_ISDIR(status.st_mode);
    ::close(fd);
    bad_input("not_a_file",
              fmt::format("the {} is {}", what, folder ? "a directory" : "not a regular file"),
              path, folder ? "name the file inside it" : "copy it to a regular file first");
  }
  if (status.st_size == 0) {
    ::close(fd);
    bad_input("empty_file", fmt::format("the {} is empty (0 bytes)", what), path,
              "download or write it again");
  }
  size_ = static_cast<size_t>(status.st_size);
  void* const memory = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
  const int code = errno;
  ::close(fd);
  if (memory == MAP_FAILED) {
    bad_input("unreadable_file",
              fmt::format("the {} cannot be mapped: {}", what, std::strerror(code)), path,
              "copy it to a local disk");
  }
  data_ = static_cast<const std::byte*>(memory);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

}  // namespace crossval
