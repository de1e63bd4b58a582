// faults: plants one fault at a time in sound models, has `crossval trace` look at each pair, and
// prints per class how many it found, named and explained, and its false alarms. Exit 1 when that
// is less than the project promises, 77 (a skipped test) when the engine is not there.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "faults/suite.h"
#include "faults/summary.h"
#include "support/temp_dir.h"

namespace crossval::testing {
namespace {

constexpr int kExitSkipped = 77;

struct Options {
  Settings settings{.crossval = CROSSVAL_BIN,
                    .engines = std::string(CROSSVAL_ROOT) + "/.cache/engines",
                    .faulty_worker = FAULTY_WORKER_BIN};
  bool quick = false, list = false, verbose = false;
  std::string only;   // part of a pair's name
  std::string write;  // folder: write the pairs there, run nothing
};

int usage() {
  std::fprintf(stderr,
               "usage: faults [--quick] [--only PART-OF-A-NAME] [--seed N] [--verbose]\n"
               "              [--list | --write DIR | --effects | --command trace|per-token]\n"
               "              [--crossval PROGRAM] [--engines DIR]\n"
               "  --quick    the short suite on the smallest models\n"
               "  --list     names of the pairs\n"
               "  --write    writes the pairs to DIR/NAME/ and prints the command for each\n"
               "  --effects  only whether the backend's own logits change\n");
  return 2;
}

bool parse(const std::vector<std::string>& args, Options& o) {
  const std::pair<const char*, bool*> switches[] = {{"--quick", &o.quick},
                                                    {"--list", &o.list},
                                                    {"--verbose", &o.verbose},
                                                    {"--effects", &o.settings.effects_only}};
  std::string seed = "1";
  const std::pair<const char*, std::string*> values[] = {{"--only", &o.only},
                                                         {"--write", &o.write},
                                                         {"--seed", &seed},
                                                         {"--command", &o.settings.command},
                                                         {"--crossval", &o.settings.crossval},
                                                         {"--engines", &o.settings.engines}};
  for (size_t i = 0; i < args.size(); ++i) {
    bool known = false;
    for (const auto& [name, target] : switches) {
      if (args[i] != name) continue;
      *target = known = true;
    }
    for (const auto& [name, target] : values) {
      if (args[i] != name || i + 1 >= args.size()) continue;
      *target = args[++i];
      known = true;
      break;
    }
    if (!known) return false;
  }
  o.settings.seed = std::strtoull(seed.c_str(), nullptr, 10);
  return true;
}

bool is_wanted(const Options& o, const BaseModel& model, const Fault& fault) {
  if (o.settings.effects_only && fault.group == Group::kernel) return false;  // the file is sound
  if (o.quick && !(model.quick && fault.quick)) return false;
  return pair_id(model, fault).find(o.only) != std::string::npos;
}

// The command to see a pair again, kernel faults with their environment.
std::string quoted(const std::vector<std::string>& args) {
  std::string out;
  for (const std::string& arg : args) {
    const bool plain = arg.find_first_of(" ;,") == arg.npos;
    // NAME='value' rather than 'NAME=value', which would be a program's name.
    const size_t at = arg.starts_with("CROSSVAL_") ? arg.find('=') + 1 : 0;
    out +=
        (out.empty() ? "" : " ") + (plain ? arg : arg.substr(0, at) + "'" + arg.substr(at) + "'");
  }
  return out;
}

void write_pair(const Options& o, const BaseModel& model, const Fault& fault,
                const std::string& base) {
  const std::string dir = o.write + "/" + model.name + "/" + fault.name;
  std::filesystem::create_directories(dir);
  std::filesystem::copy(base, dir + "/good.gguf",
                        std::filesystem::copy_options::overwrite_existing);
  const auto planted = plant(model, fault, o.settings.seed, dir + "/good.gguf", dir);
  if (!planted) {
    std::filesystem::remove_all(dir);
    return;
  }
  const Runner runner(o.settings);
  std::vector<std::string> words;
  for (const auto& [name, value] : runner.environment(*planted)) {
    words.push_back(name + "=" + value);
  }
  const auto args = runner.command(*planted);
  words.insert(words.end(), args.begin(), args.end());
  std::printf("%s\n", quoted(words).c_str());
}

int run(const Options& o) {
  if (!o.list && o.write.empty() &&
      !std::filesystem::exists(o.settings.engines + "/llama-v0.5.0")) {
    std::printf("skipped: needs llama.cpp in %s, which `make engines` brings\n",
                o.settings.engines.c_str());
    return kExitSkipped;
  }
  Runner runner(o.settings);
  std::vector<Outcome> outcomes;
  for (const BaseModel& model : base_models()) {
    const TempDir folder;
    const std::string base = folder.file("base.gguf");
    bool is_written = false, is_there = true;
    for (const Fault* fault : all_faults()) {
      if (!is_there || !is_wanted(o, model, *fault)) continue;
      if (!is_written) is_there = write_base_model(model, o.settings.seed, base);
      is_written = true;
      if (!is_there) {
        std::printf("%s: left out, %s is not there\n", model.name, model.file);
        break;
      }
      if (!o.write.empty()) {
        write_pair(o, model, *fault, base);
        continue;
      }
      const TempDir pair;
      const auto planted = plant(model, *fault, o.settings.seed, base, pair.path());
      if (!planted) continue;
      if (o.list) {
        std::printf("%s\n", pair_id(model, *fault).c_str());
        continue;
      }
      outcomes.push_back(runner.run(model, *fault, *planted));
      const Outcome& last = outcomes.back();
      if (o.verbose)
        std::printf("%s: %s (%.0f ms)\n", last.id.c_str(), last.said.c_str(), last.wall_ms);
      std::fflush(stdout);
    }
  }
  if (o.list || !o.write.empty()) return 0;
  std::fputs(summary_text(outcomes).c_str(), stdout);
  return meets_thresholds(outcomes) ? 0 : 1;
}

}  // namespace
}  // namespace crossval::testing

int main(int argc, char** argv) {
  crossval::testing::Options options;
  if (!crossval::testing::parse({argv + 1, argv + argc}, options)) {
    return crossval::testing::usage();
  }
  try {
    return crossval::testing::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "faults: %s\n", error.what());
    return 3;
  }
}
