// Files that were taken for a GGUF model and are something else: what, and what to do.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace crossval {

struct OtherFile {
  std::string what, fix;
};

// From how the file begins. Always says something; reads at most the first kilobytes.
OtherFile describe_other_file(std::span<const std::byte> file);

}  // namespace crossval
