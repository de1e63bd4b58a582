// The prompt templates that can be named on the command line, as Jinja source.
#pragma once

#include <span>
#include <string_view>

namespace crossval {

struct BuiltinTemplate {
  std::string_view name;
  std::string_view source;  // rendered with messages = [system?, user], bos_token, eos_token
};

std::span<const BuiltinTemplate> builtin_templates();

}  // namespace crossval
