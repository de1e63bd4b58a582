// One result after the other: what is opened once, then each prompt of a command.
#pragma once

#include <algorithm>
#include <functional>
#include <vector>

#include "base/deadline.h"
#include "base/error.h"
#include "base/stopwatch.h"
#include "run/plan.h"
#include "run/progress.h"
#include "run/prompt_source.h"
#include "verdict/report.h"

namespace crossval {

inline void set_total_ms(Report& report, double ms) { report.timing.total_ms = ms; }
inline void set_total_ms(RunReport& report, double ms) { report.total_ms = ms; }
// Each pair has its own time, and its own error; one before there are pairs stands in the only one.
inline void set_total_ms(ParityReport&, double) {}
inline void set_error(ParityReport& report, const Error& error) {
  report.pairs.assign(1, {});
  set_error(report.pairs.front(), error);
}

// Where results go, as they come. Returns the exit code.
template <class R>
using Emit = std::function<int(R&)>;

// What a command does with its prompts.
template <class R>
struct PromptLoop {
  std::function<void(R& opening)> open;  // fills what all results begin with
  std::function<void(const PromptInput& prompt, R& result)> run;
};

// An Error of `open`, or in the prompts themselves, is the only result; an Error of one prompt is
// that prompt's, and the others follow. Returns the worst exit code.
template <class R>
int run_prompts(const PromptOptions& options, const PromptLoop<R>& loop, Progress& progress,
                const Emit<R>& emit) {
  const Stopwatch since_start;
  R opening;
  std::vector<PromptInput> prompts;
  const auto guarded = [&](R& result, const auto& work) {
    try {
      work();
      return true;
    } catch (const Error& error) {
      set_error(result, error);
      return false;
    }
  };
  const bool opened = guarded(opening, [&] {
    prompts = read_prompts(options);
    loop.open(opening);
  });
  if (!opened) {
    progress.stage("");
    set_total_ms(opening, since_start.elapsed_ms());
    return emit(opening);
  }
  int worst = 0;
  for (const PromptInput& prompt : prompts) {
    const Stopwatch since_prompt;
    R result = opening;
    guarded(result, [&] {
      check_run_deadline();
      loop.run(prompt, result);
    });
    progress.stage("");
    set_total_ms(result,
                 prompts.size() == 1 ? since_start.elapsed_ms() : since_prompt.elapsed_ms());
    worst = std::max(worst, emit(result));
  }
  return worst;
}

}  // namespace crossval
