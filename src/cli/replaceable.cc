#include "cli/replaceable.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdint>
#include <cstring>
#include <fstream>

#include "base/error.h"

namespace crossval {
namespace {

constexpr size_t kLooked = 4096;

bool looks_like(OutputKind kind, std::string_view start) {
  switch (kind) {
    case OutputKind::receipt:
      return start.starts_with("{") && start.find("\"crossval/") != std::string_view::npos;
    case OutputKind::page:
      return start.starts_with("<!doctype html>") || start.starts_with("<!DOCTYPE html>");
    case OutputKind::trace:
      // safetensors: the length of a JSON header, and the header.
      uint64_t length = 0;
      if (start.size() <= sizeof length) return false;
      std::memcpy(&length, start.data(), sizeof length);
      return length < (uint64_t{1} << 32) && start[sizeof length] == '{';
  }
  return false;
}

const char* kind_words(OutputKind kind) {
  return kind == OutputKind::receipt ? "a receipt"
         : kind == OutputKind::page  ? "a page"
                                     : "a trace";
}

}  // namespace

void check_replaceable(std::string_view flag, const std::string& path, OutputKind kind,
                       const std::vector<std::string>& inputs) {
  struct stat status {};
  if (path.empty() || ::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  for (const std::string& input : inputs) {
    struct stat other {};
    if (::stat(input.c_str(), &other) == 0 && other.st_dev == status.st_dev &&
        other.st_ino == status.st_ino) {
      bad_input("output_is_input",
                fmt::format("{} would replace {}", flag,
                            kind == OutputKind::page ? "the receipt" : "a file that is read"),
                path, "name another file");
    }
  }
  if (status.st_size == 0) return;
  std::string start(kLooked, '\0');
  std::ifstream in(path, std::ios::binary);
  in.read(start.data(), static_cast<std::streamsize>(start.size()));
  start.resize(static_cast<size_t>(in.gcount()));
  if (!looks_like(kind, start)) {
    bad_input("output_is_input",
              fmt::format("{} would replace a file that is not {}", flag, kind_words(kind)), path,
              "name another file, or remove this one first");
  }
}

}  // namespace crossval
