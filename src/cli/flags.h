// The flags shared by several commands, attached to a CLI11 command in one place each.
#pragma once

#include <CLI/CLI.hpp>

#include <map>
#include <string>
#include <vector>

#include "run/plan.h"

namespace crossval {

// A choice of words: shown as its type in --help, checked and turned into the enum's value.
template <class Enum>
void choice(CLI::Option* option, const std::map<std::string, Enum>& words, const char* shown) {
  option->transform(CLI::CheckedTransformer(words).description(""))->type_name(shown);
}

void add_common_flags(CLI::App& command, CommonOptions& options);
void add_format_flag(CLI::App& command, std::string& format);
void add_prompt_flags(CLI::App& command, PromptOptions& options);
void add_model_flags(CLI::App& command, ModelOptions& options);
void add_sandbox_flag(CLI::App& command, Sandbox& sandbox);
void add_i2_s_flag(CLI::App& command, std::string& layout);
void add_tolerance_flags(CLI::App& command, double& cos_tol, std::string& gate,
                         std::vector<std::string>& metrics, int& last_positions);

}  // namespace crossval
