// Runs the built crossval and reads its JSON; and where the real models and engines of the tests
// are, with the line that says why a test is skipped when they are not there.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "support/subprocess.h"

namespace crossval::testing {

inline const std::string root = CROSSVAL_ROOT;
inline const std::string smollm2 = root + "/.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf";
inline const std::string llama_new = root + "/.cache/engines/llama-v0.5.0";
inline const std::string llama_old = root + "/.cache/engines/llama-b3889";

struct CrossvalResult {
  RunResult run;
  std::vector<nlohmann::json> objects;  // one a prompt
  const nlohmann::json& json() const { return objects.at(0); }
};

// `args` after the program's name; --format json is added.
inline CrossvalResult run_crossval(const std::string& program, std::vector<std::string> args,
                                   const RunOptions& options = {}) {
  args.insert(args.begin(), program);
  args.insert(args.end(), {"--format", "json"});
  CrossvalResult result{run_program(args, options), {}};
  const std::string& out = result.run.out;
  nlohmann::json whole = nlohmann::json::parse(out, nullptr, false);
  if (!whole.is_discarded()) {
    result.objects.push_back(std::move(whole));
    return result;
  }
  std::istringstream lines(out);
  for (std::string line; std::getline(lines, line);) {
    result.objects.push_back(nlohmann::json::parse(line));
  }
  return result;
}

}  // namespace crossval::testing

// A real file that `make engines` brings; CI brings it always.
#define SKIP_WITHOUT(path)                                                               \
  if (!std::filesystem::exists(path)) {                                                  \
    GTEST_SKIP() << "needs " << (path) << ", which `make engines` brings; it is absent"; \
  }                                                                                      \
  static_assert(true)
