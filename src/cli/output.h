// Where a command's results go: stdout in the asked format, the receipt file, errors on stderr.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/line_file.h"
#include "cli/replaceable.h"
#include "render/renderers.h"
#include "run/plan.h"

namespace crossval {

class Output {
 public:
  // `many`: several results may come (--prompts), so each has a number, JSON objects are one a
  // line, and what makes one document is opened and closed around all.
  enum class Results { one, many };
  Output(const CommonOptions& options, const std::string& receipt_path,
         Results results = Results::one);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Before anything runs: another file the command writes, and those it reads. Whether all of its
  // files may be written; where not, refuse() says so and writes none.
  void also_writes(std::string_view flag, const std::string& path, OutputKind kind,
                   const std::vector<std::string>& inputs = {});
  bool may_write() const { return !refusal_; }
  int refuse(Result result);

  // Prints a result and adds it to the receipt. Returns the exit code:
  // the result's, or bad_input when the receipt cannot be written.
  int emit(Result result);

 private:
  void print_dumps(const Result& result) const;
  void print_errors(const Result& result, bool shown) const;

  const CommonOptions& options_;
  const Renderer& renderer_;
  Results results_;
  std::unique_ptr<LineFile> receipt_;  // none without --receipt
  int n_emitted_ = 0;
  std::optional<Error> refusal_;
};

// --prompts gives many results, whatever is in the file.
inline Output::Results results_of(const PromptOptions& options) {
  return options.prompts_file.empty() ? Output::Results::one : Output::Results::many;
}

}  // namespace crossval
