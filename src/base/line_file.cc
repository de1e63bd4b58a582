#include "base/line_file.h"

#include <unistd.h>

#include <cerrno>

#include "base/atomic_file.h"

namespace crossval {

void LineFile::append(std::string_view line) {
  pending_ += line;
  if (fd_) {
    append_to_open();
  } else {
    AtomicFile file(path_);
    file.write(pending_);
    fd_ = file.commit();
  }
  pending_.clear();
}

void LineFile::append_to_open() {
  const off_t before = ::lseek(fd_.get(), 0, SEEK_CUR);  // -1 where bytes cannot be taken back
  const size_t done = write_all(fd_.get(), pending_);
  if (done < pending_.size()) {
    const int code = errno;
    if (before >= 0 && ::ftruncate(fd_.get(), before) == 0) {
      ::lseek(fd_.get(), before, SEEK_SET);
    } else {
      pending_.erase(0, done);
    }
    fail_output("written", path_, code);
  }
  check_at_close(fd_.get(), path_);
}

}  // namespace crossval
