#include "base/atomic_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cassert>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace crossval {
namespace {

constexpr size_t kBufferBytes = 1 << 20;

// Follows links, so that a link given as output stays a link to the new content.
std::string resolve(const std::string& path) {
  char* const real = ::realpath(path.c_str(), nullptr);
  if (real == nullptr) return path;
  std::string result = real;
  ::free(real);
  return result;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string temp_name(const std::string& target) {
  static std::atomic<int> serial{0};
  return fmt::format("{}.partial-{}-{}", target, ::getpid(), serial++);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path), target_(resolve(path)) {
  struct stat status {};
  if (::stat(target_.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) fail("opened", EISDIR);
    direct_ = !S_ISREG(status.st_mode);
  }
  if (direct_) {
    // A pipe that nobody reads is an Error (ENXIO) and not a wait.
    fd_.reset(::open(target_.c_str(), O_WRONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd_) fail("opened", errno);
    ::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) & ~O_NONBLOCK);
    return;
  }
  fd_.reset(::open(folder_of(target_).c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666));
  if (fd_) return;
  temp_path_ = temp_name(target_);
  fd_.reset(::open(temp_path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!fd_) {
    const int code = errno;
    temp_path_.clear();
    fail("created", code);
  }
}

AtomicFile::~AtomicFile() {
  if (!temp_path_.empty()) ::unlink(temp_path_.c_str());
}

void AtomicFile::fail(const char* doing, int code) const { fail_output(doing, path_, code); }

void AtomicFile::flush() {
  if (write_all(fd_.get(), buffer_) < buffer_.size()) fail("written", errno);
  buffer_.clear();
}

void AtomicFile::write(std::string_view text) {
  assert(fd_);
  buffer_.append(text);
  n_written_ += text.size();
  if (buffer_.size() >= kBufferBytes) flush();
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void AtomicFile::rewrite(uint64_t offset, std::string_view text) {
  assert(fd_ && offset + text.size() <= n_written_);
  if (direct_) fail("written", ESPIPE);
  flush();
  while (!text.empty()) {
    const ssize_t n = ::pwrite(fd_.get(), text.data(), text.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail("written", errno);
    text.remove_prefix(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
}

UniqueFd AtomicFile::commit() {
  assert(fd_);
  flush();
  if (!direct_ && temp_path_.empty()) {
    // An unnamed file cannot replace an existing one in a single step: name it, then move it.
    const std::string named = temp_name(target_);
    const std::string self = fmt::format("/proc/self/fd/{}", fd_.get());
    if (::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, named.c_str(), AT_SYMLINK_FOLLOW) != 0) {
      fail("named", errno);
    }
    temp_path_ = named;
  }
  check_at_close(fd_.get(), path_);
  if (direct_) return std::move(fd_);
  if (::rename(temp_path_.c_str(), target_.c_str()) != 0) fail("moved into place", errno);
  temp_path_.clear();
  return std::move(fd_);
}

void fail_output(const char* doing, const std::string& path, int code) {
  const bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
  bad_input(full ? "disk_full" : "cannot_write",
            fmt::format("the output file cannot be {}: {}", doing, std::strerror(code)), path,
            full ? "free some space or write elsewhere; nothing was left behind"
                 : "check that the folder exists and may be written to");
}

size_t write_all(int fd, std::string_view text) {
  size_t done = 0;
  while (done < text.size()) {
    const ssize_t n = ::write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

bool read_all(int fd, char* data, size_t size) {
  while (size > 0) {
    const ssize_t n = ::read(fd, data, size);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    data += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

void check_at_close(int fd, const std::string& path) {
  const int copy = ::dup(fd);
  if (copy < 0 || ::close(copy) != 0) fail_output("written", path, errno);
}

void write_file_atomically(const std::string& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

}  // namespace crossval
