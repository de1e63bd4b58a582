// Any words as a command line, one a line: parsed, and what it asks for is begun, up to a model
// that is not there. Whatever it says, the end is an exit code that is documented, and valid JSON
// where that was asked for. Nothing is begun that would start a process or leave the folder.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <vector>

#include "cli/app_words.h"
#include "cli/dispatch.h"
#include "support/damage_arguments.h"
#include "support/temp_dir.h"
#include "target.h"

namespace crossval::fuzz {
namespace {

using Words = std::vector<std::string>;

// Where an output lands that a damaged word names.
class Folder {
 public:
  Folder() {
    ::setenv("CROSSVAL_HOME", folder_.file("home").c_str(), 1);
    ::setenv("HOME", folder_.path().c_str(), 1);
    std::filesystem::current_path(folder_.path());
    testing::write_text("ids.txt", "1 2 3");
    testing::write_text("p.jsonl", "{\"prompt\": \"a\"}\n{\"tokens\": [1]}\n");
    testing::write_text("r.json", "{}");
  }

 private:
  testing::TempDir folder_;
};

// Standard output in a file, while this lives.
class Captured {
 public:
  Captured() : file_(::memfd_create("out", MFD_CLOEXEC)), out_(::dup(1)), err_(::dup(2)) {
    const UniqueFd null(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    std::fflush(stdout);
    ::dup2(file_.get(), 1);
    ::dup2(null.get(), 2);
  }
  ~Captured() {
    std::fflush(stdout);
    ::dup2(out_.get(), 1);
    ::dup2(err_.get(), 2);
  }
  Captured(const Captured&) = delete;
  Captured& operator=(const Captured&) = delete;
  std::string text() const {
    std::fflush(stdout);
    return testing::read_text("/proc/self/fd/" + std::to_string(file_.get()));
  }

 private:
  UniqueFd file_, out_, err_;
};

const std::vector<testing::CommandWords>& all_words() {
  static const std::vector<testing::CommandWords> words = [] {
    Action action;
    const auto app = make_app(action);
    std::vector<testing::CommandWords> commands;
    for (const CLI::App* command : commands_of(*app)) {
      testing::CommandWords& one = commands.emplace_back();
      one.name = command->get_name();
      for (const FlagWords& flag : flags_of(*command)) {
        for (const std::string& name : flag.names) {
          one.flags.push_back({name, flag.choices, flag.type.empty()});
        }
      }
    }
    return commands;
  }();
  return words;
}

bool has_flag(const std::string& command, const std::string& flag) {
  for (const auto& one : all_words()) {
    if (one.name != command) continue;
    return std::ranges::any_of(one.flags, [&](const auto& each) { return each.name == flag; });
  }
  return false;
}

// Its cover would be ours for ever. Words with a slash lead elsewhere.
bool can_be_begun(const Words& words) {
  return words.size() > 1 && has_flag(words[1], "--sandbox") &&
         std::ranges::none_of(words, [](const std::string& word) {
           return word.find('/') != word.npos || word.find("..") != word.npos ||
                  word.starts_with("--sandbox");
         });
}

[[noreturn]] void reject(const std::string& text) {
  std::fprintf(stderr, "no such result may be: %s\n", text.c_str());
  std::abort();
}

void check_json(const std::string& text, int code) {
  std::istringstream lines(text);
  nlohmann::json last = nlohmann::json::parse(text, nullptr, false);
  if (last.is_discarded()) {
    for (std::string line; std::getline(lines, line);) last = nlohmann::json::parse(line);
  }
  if (last.at("exit_code") != code) reject(text);
  if (code == 3 || code == 4) {
    if (!last["error"].is_object()) reject(text);
    for (const char* key : {"code", "what", "where", "fix"}) {
      if (last["error"].value(key, "").empty()) reject(text);
    }
    if (last["error"]["code"] == "internal_error") reject(text);
  }
}

}  // namespace

std::string damaged_command_line(const std::string& good, size_t header_bytes, uint64_t seed) {
  (void)header_bytes;
  return testing::damaged_arguments(good, all_words(), seed);
}

Seed good_input() {
  return {.bytes =
              "per-token\n--model\nm.gguf\n--prompt\na b\n--backend\nnative\n--max-tokens\n2\n"
              "--metrics\nkl,cosine\n--cos-tol\n0.99\n--timeout\n5\n--receipt\nout.json\n"
              "--backend-opt\nubatch=1\n--format\njson\n",
          .damage = damaged_command_line};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  using namespace crossval::fuzz;
  static const Folder folder;
  Words words = {"crossval"};
  std::istringstream lines(std::string(reinterpret_cast<const char*>(data), size));
  for (std::string line; std::getline(lines, line);) words.push_back(line.c_str());
  // A deadline would be that of the whole fuzz run.
  const auto is_deadline = [](const std::string& word) { return word.starts_with("--dead"); };
  if (std::ranges::any_of(words, is_deadline)) return 0;
  bool is_json = words.size() > 1 && has_flag(words[1], "--format") &&
                 std::ranges::none_of(
                     words, [](const std::string& word) { return word.starts_with("--form"); });
  const bool is_begun = can_be_begun(words);
  if (is_begun) words.insert(words.begin() + 2, "--sandbox=off");
  if (is_json) words.insert(words.begin() + 2, "--format=json");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  bool is_parsed = false;
  const Captured captured;
  const int code = dispatch(static_cast<int>(words.size()), argv.data(), [&](const Action& action) {
    is_parsed = true;
    ++n_accepted;
    return is_begun ? action() : 0;
  });
  if (code < 0 || code > 5) std::abort();
  if (is_json && (is_begun || !is_parsed) && code != 0) check_json(captured.text(), code);
  return 0;
}
