// The flags shared by several commands, attached to a CLI11 command in one place each.
#pragma once

#include <CLI/CLI.hpp>

#include "run/plan.h"

namespace crossval {

void add_common_flags(CLI::App& command, CommonOptions& options);
void add_prompt_flags(CLI::App& command, PromptOptions& options);
void add_model_flags(CLI::App& command, ModelOptions& options);
void add_i2_s_flag(CLI::App& command, std::string& layout);
void add_tolerance_flags(CLI::App& command, double& cos_tol, std::string& gate,
                         std::vector<std::string>& metrics, int& last_positions);

}  // namespace crossval
