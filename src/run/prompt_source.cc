#include "run/prompt_source.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/error.h"
#include "base/json_depth.h"
#include "base/unique_fd.h"

namespace crossval {
namespace {

[[noreturn]] void unreadable(const std::string& what, const std::string& path) {
  bad_input("unreadable_file", what, path, "check the path and its permissions");
}

// Opening a pipe waits for somebody who writes it, which may be nobody: this waits 10 s for the
// first byte, and then for the end as everybody does.
std::string read_pipe(const std::string& path) {
  constexpr int wait_ms = 10'000;
  const UniqueFd pipe(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  pollfd fd{pipe.get(), POLLIN, 0};
  if (!pipe || ::poll(&fd, 1, wait_ms) != 1) unreadable("nobody writes to this pipe", path);
  ::fcntl(pipe.get(), F_SETFL, ::fcntl(pipe.get(), F_GETFL) & ~O_NONBLOCK);
  std::string text;
  char buffer[1 << 16];
  for (;;) {
    const ssize_t n = ::read(pipe.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) unreadable("the file cannot be read", path);
    if (n == 0) return text;
    text.append(buffer, static_cast<size_t>(n));
  }
}

std::string read_file(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode)) return read_pipe(path);
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in || in.bad()) unreadable("the file cannot be read", path);
  return std::move(text).str();
}

// Ids separated by commas or white space, in brackets or not.
std::vector<TokenId> parse_ids(const std::string& text, const std::string& where) {
  std::vector<TokenId> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  while (at < end) {
    if (std::string_view(" \t\r\n,[]").find(*at) != std::string_view::npos) {
      ++at;
      continue;
    }
    TokenId id = 0;
    const auto [next, error] = std::from_chars(at, end, id);
    if (error != std::errc() || id < 0) {
      const std::string word(at, std::min<size_t>(20, static_cast<size_t>(end - at)));
      bad_input("bad_token_id", fmt::format("'{}' is not a token id", word), where,
                "give whole numbers from 0 separated by commas: --tokens 1,2,3");
    }
    ids.push_back(id);
    at = next;
  }
  return ids;
}

PromptInput parse_line(const std::string& line, const std::string& where) {
  const auto fail = [&](const std::string& what) {
    bad_input("bad_prompt_line", what, where,
              "each line is {\"prompt\": \"...\"} or {\"tokens\": [1, 2]}");
  };
  if (nests_too_deep(line)) fail("the line nests too deep");
  const auto json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) fail("the line is not a JSON object");
  if (json.contains("prompt") && json["prompt"].is_string()) {
    return {.text = json["prompt"].get<std::string>()};
  }
  if (!json.contains("tokens") || !json["tokens"].is_array()) {
    fail("the line has neither a \"prompt\" text nor a \"tokens\" array");
  }
  std::vector<TokenId> ids;
  for (const auto& id : json["tokens"]) {
    if (!id.is_number_integer() || id < 0 || id > INT32_MAX)
      fail("\"tokens\" has an entry that is no id");
    ids.push_back(id.get<TokenId>());
  }
  return {.ids = std::move(ids)};
}

}  // namespace

std::vector<PromptInput> read_prompts(const PromptOptions& options) {
  if (options.has_prompt) return {{.text = options.prompt}};
  if (options.has_tokens) return {{.ids = parse_ids(options.tokens, "--tokens")}};
  if (!options.prompt_file.empty()) return {{.text = read_file(options.prompt_file)}};
  if (!options.tokens_file.empty()) {
    return {{.ids = parse_ids(read_file(options.tokens_file), options.tokens_file)}};
  }
  std::vector<PromptInput> prompts;
  std::istringstream lines(read_file(options.prompts_file));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    prompts.push_back(parse_line(line, fmt::format("{}:{}", options.prompts_file, number)));
    prompts.back().number = static_cast<int>(prompts.size());
  }
  if (prompts.empty()) {
    bad_input("no_prompts", "the file has no prompts", options.prompts_file,
              "each line is {\"prompt\": \"...\"} or {\"tokens\": [1, 2]}");
  }
  return prompts;
}

}  // namespace crossval
