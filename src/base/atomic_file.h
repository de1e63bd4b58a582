// A file that appears under its name whole or not at all: written elsewhere, moved at the end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace crossval {

// Nothing is seen under `path` before commit(); without it (an exception, Ctrl-C) the old content
// stays and nothing is left behind. Where the file system can, the new file has no name until then,
// so that not even a killed process leaves it. A device or pipe is written directly.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);  // throws bad_input
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const std::byte> bytes);  // throws bad_input: "disk_full", "cannot_write"
  void write(std::string_view text);
  // Replaces bytes already written: a header whose numbers are known only at the end. Not for
  // devices and pipes, which is an Error.
  void rewrite(uint64_t offset, std::string_view text);
  uint64_t n_written() const { return n_written_; }
  // The file that is there now, open at its end.
  UniqueFd commit();

 private:
  [[noreturn]] void fail(const char* doing, int code) const;
  void flush();

  std::string path_;       // as named by the user, for messages
  std::string target_;     // with links resolved
  std::string temp_path_;  // empty while the file has no name
  std::string buffer_;
  UniqueFd fd_;
  bool direct_ = false;  // the target is a device or pipe
  uint64_t n_written_ = 0;
};

// Throws bad_input: an output file could not be `doing` ("written"), and errno's reason.
[[noreturn]] void fail_output(const char* doing, const std::string& path, int code);

// As much of it as can be written: what is less than all failed with errno. Usable in a signal
// handler.
size_t write_all(int fd, std::string_view text);
// Whether so many bytes came, through interrupted and short reads. Async-signal-safe.
bool read_all(int fd, char* data, size_t size);

// What a file system says only at a close (NFS, quotas), while `fd` stays open.
void check_at_close(int fd, const std::string& path);

// The whole of it in one call: receipts, reports.
void write_file_atomically(const std::string& path, std::string_view content);

}  // namespace crossval
