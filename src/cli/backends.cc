// crossval backends: each engine, whether it is ready, and what to do when not. Each ready one was
// really started. Exit code 0: the answer is the output.
#include <fmt/format.h>

#include <cstdio>
#include <nlohmann/json.hpp>

#include "backends/preflight.h"
#include "base/error.h"
#include "cli/commands.h"
#include "render/visible.h"
#include "sandbox/rights.h"

namespace crossval {
namespace {

nlohmann::json text_or_null(const std::string& text) {
  return text.empty() ? nlohmann::json(nullptr) : nlohmann::json(text);
}

nlohmann::json to_json(const BackendStatus& status) {
  return {{"name", status.name},
          {"display_name", status.display_name},
          {"kind", status.kind},
          {"build", text_or_null(status.build)},
          {"state", backend_state_name(status.state)},
          {"version", text_or_null(status.version)},
          {"commit", text_or_null(status.commit)},
          {"device", text_or_null(status.device)},
          {"api_era", text_or_null(status.api_era)},
          {"library", text_or_null(status.library)},
          {"dir", text_or_null(status.dir)},
          {"dir_source", text_or_null(status.dir_source)},
          {"worker", text_or_null(status.worker)},
          {"searched", status.searched},
          {"reason", text_or_null(status.reason)},
          {"fix", text_or_null(status.fix)},
          {"hint", text_or_null(status.hint)}};
}

std::string to_text(const BackendStatus& status) {
  std::string version = visible(status.version);
  if (!status.commit.empty()) version += " (" + visible(status.commit) + ")";
  if (!status.device.empty()) version += ", on " + visible(status.device);
  std::string out =
      fmt::format("{:<12} {:<13} {:<11} {}\n", visible(status.name), visible(status.display_name),
                  backend_state_name(status.state), version);
  const auto line = [&](const char* name, const std::string& words) {
    if (!words.empty()) out += fmt::format("             {:<8} {}\n", name, visible_lines(words));
  };
  line("library", status.library);
  if (status.kind == "program") line("program", status.worker);
  if (status.state == BackendState::ready) return out;
  line("why", status.reason);
  line("fix", status.fix);
  if (!status.hint.empty()) line("", "(" + status.hint + ")");
  for (const std::string& place : status.searched) line("searched", place);
  return out;
}

int run_backends(const std::string& format) {
  const auto all = preflight_all(true);
  std::string text;
  if (format == "json") {
    nlohmann::json out = {{"schema", "crossval/backends/1"},
                          {"status", "ok"},
                          {"exit_code", 0},
                          {"backends", nlohmann::json::array()}};
    for (const BackendStatus& status : all) out["backends"].push_back(to_json(status));
    out["sandbox"] = {{"landlock", kernel_offers().landlock_abi},
                      {"seccomp", kernel_offers().seccomp},
                      {"missing", kernel_offers().missing()}};
    text = out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  } else {
    for (const BackendStatus& status : all) text += to_text(status);
    text += "\nworkers are held to their rights by this kernel";
    const std::vector<std::string> missing = kernel_offers().missing();
    text += missing.empty() ? ": files, network, memory\n"
                            : fmt::format(", but: {}\n", fmt::join(missing, "; "));
  }
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

void add_backends(CLI::App& app, Action& action) {
  CLI::App* command =
      app.add_subcommand("backends", "Each engine and build: ready, not set up, or broken and why");
  const auto format = std::make_shared<std::string>("text");
  command->add_option("--format", *format, "Result on stdout")
      ->check(CLI::IsMember({"text", "json"}).description(""))
      ->capture_default_str()
      ->type_name("text|json");
  command->callback([format, &action] { action = [format] { return run_backends(*format); }; });
}

}  // namespace crossval
