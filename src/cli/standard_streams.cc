#include "cli/standard_streams.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "base/error.h"
#include "render/text.h"

namespace crossval {

void open_standard_streams() {
  for (int fd = 0; fd < 3; ++fd) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number, which is this one.
    [[maybe_unused]] const int opened = ::open("/dev/null", fd == 0 ? O_RDONLY : O_WRONLY);
  }
}

int close_stdout(int exit_code) {
  errno = 0;
  std::cout.flush();
  const bool all_well = std::cout.good() && std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  // Some file systems tell only at the end.
  const int copy = ::dup(STDOUT_FILENO);
  const bool closed = copy < 0 || ::close(copy) == 0;
  if (all_well && closed) return exit_code;
  const int reason = errno;
  const Error error(Status::bad_input, "cannot_write",
                    std::string("the result could not be written") +
                        (reason != 0 ? std::string(": ") + std::strerror(reason) : ""),
                    "stdout", "make room there, or keep the reader of the pipe alive");
  std::cerr << error_text(error_report(error), error.status, {.color = false}) << std::flush;
  return exit_code > static_cast<int>(Status::bad_input) ? exit_code
                                                         : static_cast<int>(Status::bad_input);
}

}  // namespace crossval
