#include "cli/cover.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <sstream>

#include "base/deadline.h"
#include "base/error.h"
#include "cli/command_line.h"
#include "cli/last_words.h"
#include "render/visible.h"
#include "run/parity.h"

namespace crossval {
namespace {

std::string words_for(const OwnCover& cover, const std::vector<int>& ports) {
  const std::vector<std::string> missing = kernel_offers().missing();
  std::string words = cover.files ? "files" : "";
  if (cover.calls) words += cover.files ? ", network" : "network";
  if (cover.calls && !ports.empty()) {
    words += kernel_offers().holds_ports() ? fmt::format(" but port {}", fmt::join(ports, ", "))
                                           : " but TCP to anywhere";
  }
  if (words.empty()) words = "nothing";
  for (const std::string& one : missing) words += "; " + one;
  if (missing.empty() && !(cover.files && cover.calls)) words += "; refused by the system";
  return words;
}

Tell notes_of(const CommonOptions& options) {
  return [is_quiet = options.quiet](const std::string& line) {
    if (!is_quiet) std::fputs((visible_lines(line) + "\n").c_str(), stderr);
  };
}

void add_prompt(const PromptOptions& prompt, std::vector<std::string>& inputs) {
  for (const std::string* path :
       {&prompt.prompt_file, &prompt.tokens_file, &prompt.prompts_file, &prompt.prompt_template}) {
    inputs.push_back(*path);
  }
}

std::vector<std::string> names_of(const PerTokenOptions& options) {
  std::vector<std::string> names = {options.engine};
  if (!names_several_backends(options.backend)) {
    names.push_back(options.backend);
    return names;
  }
  std::istringstream list(options.backend);
  for (std::string name; std::getline(list, name, ',');) names.push_back(name);
  return names;
}

}  // namespace

void go_under_cover(Sandbox sandbox, const OwnPlaces& places, const Tell& tell) {
  std::string words = "off";
  if (sandbox != Sandbox::off) {
    if (sandbox == Sandbox::strict) require_kernel("crossval itself");
    set_up_engines(places.engines, tell);
    check_run_deadline();
    const Rights rights = own_rights(places);
    const OwnCover cover = confine_self(rights);
    words = words_for(cover, rights.connect_ports);
    if (sandbox == Sandbox::strict && !(cover.files && cover.calls)) {
      backend_failed("sandbox_missing", "the system does not let crossval give up its rights",
                     "--sandbox", "run it outside of other sandboxes, or with --sandbox auto");
    }
  }
  remember_sandbox(words);
  watch_deadline();
}

void go_under_cover(const PerTokenOptions& options) {
  OwnPlaces places{.inputs = {options.model.model, options.model.tokenizer, options.backend_model},
                   .outputs = {options.receipt},
                   .engines = find_engines(names_of(options)),
                   .may_write = options.model.sandbox_write};
  add_prompt(options.prompt, places.inputs);
  if (const std::string& dir = options.save_trace_dir; !dir.empty()) {
    for (const char* name : {"/", "/engine.safetensors", "/backend.safetensors"}) {
      places.outputs.push_back(dir + name);
    }
  }
  go_under_cover(options.model.sandbox, places, notes_of(options.common));
}

void go_under_cover(const RunOptions& options) {
  OwnPlaces places{.inputs = {options.model.model, options.model.tokenizer},
                   .outputs = {options.save_trace},
                   .engines = find_engines({options.engine}),
                   .may_write = options.model.sandbox_write};
  add_prompt(options.prompt, places.inputs);
  go_under_cover(options.model.sandbox, places, notes_of(options.common));
}

void go_under_cover(const CompareOptions& options) {
  go_under_cover(options.model.sandbox, {.inputs = {options.a, options.b, options.model.model},
                                         .outputs = {options.receipt},
                                         .engines = {},
                                         .may_write = {}});
}

}  // namespace crossval
