#include "run/per_token.h"

#include <optional>

#include "run/pair.h"

namespace crossval {

int compare_per_token(const PerTokenOptions& options, Progress& progress,
                      const Emit<Report>& emit) {
  std::optional<Pair> pair;
  const PromptLoop<Report> loop = {
      .open =
          [&](Report& opening) {
            opening.tolerance = make_tolerance(options.gate, options.cos_tol);
            opening.metrics = metric_set(options.metrics);
            pair.emplace(options, progress, opening);
          },
      .run = [&](const PromptInput& prompt, Report& report) { pair->compare(prompt, report); }};
  return run_prompts(options.prompt, loop, progress, emit);
}

}  // namespace crossval
