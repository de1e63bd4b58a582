#include "cli/commands.h"

#include "cli/commit.h"

namespace crossval {

namespace {

template <typename R>
Result empty() {
  return R();
}

}  // namespace

std::span<const Command> all_commands() {
  static constexpr Command table[] = {
      {"per-token", add_per_token, empty<Report>},
      {"trace", add_trace, empty<TraceReport>},
      {"run", add_run, empty<RunReport>},
      {"compare", add_compare, empty<Report>},
      {"trace-diff", add_trace_diff, empty<TraceReport>},
      {"backends", add_backends},
      {"setup", add_setup},
      {"inspect", add_inspect, empty<InspectReport>},
      {"check-conversion", add_check_conversion, empty<ConversionReport>},
      {"report", add_report},
      {"completions", add_completions},
      {"man-page", add_man_page},
  };
  return table;
}

std::unique_ptr<CLI::App> make_app(Action& action) {
  auto app = std::make_unique<CLI::App>(
      "crossval runs one prompt through an independent engine and through a reference engine\n"
      "(llama.cpp, bitnet.cpp, ...) and names the first token, and the first tensor, where they\n"
      "disagree: how much, whether it matters, and who is right.",
      "crossval");
  app->footer(
      "Exit codes: 0 agree, 1 diverged, 2 token_mismatch, 3 bad_input, 4 backend_failed,\n"
      "5 inconclusive (not checked, or perhaps rounding that could not be measured).\n"
      "`crossval COMMAND --help` tells a command's flags.");
  app->set_version_flag("--version", version_line());
  app->require_subcommand(1);
  for (const Command& command : all_commands()) command.add(*app, action);
  return app;
}

}  // namespace crossval
