#include "run/saved_runs.h"

#include <fmt/format.h>

#include <filesystem>

namespace crossval {

std::string saved_path(const std::string& path, int number) {
  if (number == 0) return path;
  const std::filesystem::path whole(path);
  return (whole.parent_path() /
          fmt::format("{}-{:04}{}", whole.stem().string(), number, whole.extension().string()))
      .string();
}

}  // namespace crossval
