// What a fuzz target is: LLVMFuzzerTestOneInput takes any bytes and ends well, or aborts; the
// driver starts from a good input of the target's own.
#pragma once

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "base/error.h"
#include "base/unique_fd.h"
#include "support/damage.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace crossval::fuzz {

struct Seed {
  std::string bytes;
  size_t header_bytes = bytes.size();  // most damage is done before it
  std::string (*damage)(const std::string& good, size_t header_bytes,
                        uint64_t seed) = testing::damaged_copy;
};
Seed good_input();

// Some bytes as a file that has a path, for readers that take one.
class MemoryFile {
 public:
  explicit MemoryFile(std::span<const uint8_t> bytes) : fd_(::memfd_create("fuzz", MFD_CLOEXEC)) {
    const ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n != static_cast<ssize_t>(bytes.size())) std::abort();
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  UniqueFd fd_;
};

// How many inputs were read to their end: a target that refuses all of them tests little.
inline uint64_t n_accepted = 0;

// What a reader refuses, it refuses with a whole Error.
template <typename Read>
void read_or_refuse(const Read& read) {
  try {
    read();
    ++n_accepted;
  } catch (const Error& error) {
    if (std::getenv("FUZZ_SHOW_ERRORS") != nullptr) {
      std::fprintf(stderr, "%s: %s\n", error.code.c_str(), error.what_.c_str());
    }
    if (error.code.empty() || error.where.empty() || error.fix.empty()) std::abort();
  }
}

}  // namespace crossval::fuzz
