#include "engine/trace_set.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/error.h"

namespace fs = std::filesystem;

namespace crossval {

std::string saved_path(const std::string& path, int number) {
  if (number == 0) return path;
  const fs::path whole(path);
  return (whole.parent_path() /
          fmt::format("{}-{:04}{}", whole.stem().string(), number, whole.extension().string()))
      .string();
}

std::unique_ptr<Engine> open_recording(const std::string& path) {
  std::error_code ignored;
  std::vector<std::unique_ptr<TraceEngine>> runs;
  if (!fs::exists(path, ignored)) {
    for (int number = 1; fs::exists(saved_path(path, number), ignored); ++number) {
      runs.push_back(std::make_unique<TraceEngine>(saved_path(path, number)));
    }
  }
  if (runs.empty()) return std::make_unique<TraceEngine>(path);  // which says what is wrong
  return std::make_unique<TraceSet>(std::move(runs));
}

TraceSet::TraceSet(std::vector<std::unique_ptr<TraceEngine>> runs) : runs_(std::move(runs)) {
  for (const auto& run : runs_) {
    if (run->info().n_vocab == runs_.front()->info().n_vocab) continue;
    bad_input("other_vocabulary", "the runs of one set have rows of different length",
              run->file().path(), "save all of them with the same model");
  }
}

std::vector<TokenId> TraceSet::tokenize(const std::string& text, const TokenizeOptions& options) {
  for (size_t i = 0; i < runs_.size(); ++i) {
    const size_t at = (current_ + i) % runs_.size();
    if (runs_[at]->file().metadata(trace_key::kPrompt) != valid_utf8(text)) continue;
    current_ = at;
    return runs_[at]->tokenize(text, options);
  }
  bad_input("other_prompt",
            fmt::format("none of the {} saved runs is of this prompt", runs_.size()),
            runs_.front()->file().path(), "save them again with the same --prompts and template");
}

void TraceSet::reset(int n_ctx) {
  for (const auto& run : runs_) run->reset(n_ctx);
  is_fresh_ = true;
}

void TraceSet::eval(std::span<const TokenId> ids) {
  if (std::exchange(is_fresh_, false)) {
    const auto begins_with = [&](size_t at) {
      const std::vector<TokenId>& saved = runs_[at]->file().tokens();
      return runs_[at]->n_prompt() == std::ssize(ids) &&
             std::equal(ids.begin(), ids.end(), saved.begin());
    };
    for (size_t i = 0; i < runs_.size(); ++i) {
      const size_t at = (current_ + i) % runs_.size();
      if (!begins_with(at)) continue;
      current_ = at;
      break;
    }
  }
  runs_[current_]->eval(ids);
}

void TraceSet::read_logits(int first_row, int n_rows, std::span<float> out) {
  runs_[current_]->read_logits(first_row, n_rows, out);
}

}  // namespace crossval
