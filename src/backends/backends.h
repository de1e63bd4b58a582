// The table of backends: what each is called, where its files lie, and how a user gets it. The
// one place to add a row for another engine with a llama.h (design: "to add X").
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace crossval {

struct BackendSpec {
  std::string_view name;          // on the command line: "llama"
  std::string_view display_name;  // in reports: "llama.cpp"
  std::string_view env_var;       // names the engine's folder, before anything remembered
  // Folders below the engine's own that may hold the library or the headers, in this order.
  std::vector<std::string_view> library_dirs;
  std::vector<std::string_view> include_dirs;
  std::string_view how_to_get;  // one line for somebody who has nothing yet
};

std::span<const BackendSpec> all_backends();

// nullptr when there is no such backend; "cpp-backend" names of the seed are the same names.
const BackendSpec* find_backend(std::string_view name);

// "llama, bitnet, ik" for messages.
std::string backend_names();

// "llama" -> "llama.cpp"; other names ("worker:PATH", "native") come back as they are.
std::string backend_display_name(std::string_view name);

}  // namespace crossval
