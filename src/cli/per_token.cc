// crossval per-token: preflight, ids from both sides, the token gate, then logits at every
// position in lockstep, judged against the rounding noise that native's two arithmetics show.
#include <fmt/format.h>

#include <chrono>
#include <iostream>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/pair.h"
#include "cli/parity.h"
#include "cli/terminal_progress.h"
#include "cli/prompt_source.h"

namespace crossval {

int run_per_token(const PerTokenOptions& options) {
  if (names_several_backends(options.backend)) return run_parity(options);
  const auto start = std::chrono::steady_clock::now();
  TerminalProgress progress(options.common);
  Output output(options.common, options.receipt);
  Report opening;  // what every prompt's report begins with
  std::optional<Pair> pair;
  std::vector<PromptInput> prompts;
  const auto elapsed_ms = [](std::chrono::steady_clock::time_point since) {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since)
        .count();
  };
  try {
    opening.tolerance = make_tolerance(options.gate, options.cos_tol);
    opening.metrics = metric_set(options.metrics);
    prompts = read_prompts(options.prompt);
    pair.emplace(options, progress, opening);
  } catch (const Error& error) {
    progress.stage("");
    set_error(opening, error);
    opening.timing.total_ms = elapsed_ms(start);
    return output.emit(opening);
  }
  output.set_many(prompts.size() > 1 || !options.prompt.prompts_file.empty());
  int worst = 0;
  for (const PromptInput& prompt : prompts) {
    const auto prompt_start = std::chrono::steady_clock::now();
    Report report = opening;
    try {
      pair->compare(prompt, report);
    } catch (const Error& error) {
      set_error(report, error);
    }
    progress.stage("");
    report.timing.total_ms = elapsed_ms(prompts.size() == 1 ? start : prompt_start);
    worst = std::max(worst, output.emit(report));
  }
  return worst;
}

}  // namespace crossval
