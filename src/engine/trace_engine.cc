#include "engine/trace_engine.h"

#include <fmt/format.h>

#include <cassert>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/printable.h"
#include "engine/bounded_json.h"

namespace crossval {
namespace {

// A count kept as text; `fallback` when the key is absent.
int count_of(const TraceFile& file, const char* key, int fallback) {
  const std::string text = file.metadata(key);
  if (text.empty()) return fallback;
  int value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) {
    bad_input("damaged_trace", fmt::format("'{}' is not a count", printable(text)),
              fmt::format("{}: metadata '{}'", file.path(), key),
              "save the trace again with --save-trace");
  }
  return value;
}

}  // namespace

TraceEngine::TraceEngine(const std::string& path) : TraceEngine(TraceFile::open(path)) {}

TraceEngine::TraceEngine(std::shared_ptr<const TraceFile> file) : file_(std::move(file)) {
  info_.name = file_->metadata(trace_key::kEngine);
  info_.version = file_->metadata(trace_key::kVersion);
  info_.library = file_->metadata(trace_key::kLibrary);
  info_.model = file_->metadata(trace_key::kModel);
  info_.n_threads = count_of(*file_, trace_key::kNThreads, 0);
  info_.n_vocab = static_cast<int>(file_->n_vocab());
  const auto settings = parse_bounded(file_->metadata(trace_key::kSettings));
  if (settings.is_object()) {
    for (const auto& [key, value] : settings.items()) {
      if (value.is_string()) info_.settings[key] = value.get<std::string>();
    }
  }
  info_.settings["trace"] = file_->path();
  const auto n_positions = static_cast<int>(file_->n_positions());
  n_prompt_ = count_of(*file_, trace_key::kNPrompt, n_positions);
  if (n_prompt_ > n_positions) {
    bad_input("damaged_trace",
              fmt::format("a prompt of {} ids in a trace of {}", n_prompt_, n_positions),
              file_->path(), "save the trace again with --save-trace");
  }
}

std::vector<TokenId> TraceEngine::tokenize(const std::string& text, const TokenizeOptions&) {
  const std::string saved = file_->metadata(trace_key::kPrompt);
  if (!saved.empty() && saved != valid_utf8(text)) {
    bad_input("other_prompt", "the trace was saved for another prompt", file_->path(),
              fmt::format("use the same prompt and template: '{}'", printable(saved)));
  }
  return {file_->tokens().begin(), file_->tokens().begin() + n_prompt_};
}

void TraceEngine::reset(int) {
  n_evaluated_ = 0;
  latest_begin_ = 0;
}

void TraceEngine::eval(std::span<const TokenId> ids) {
  latest_begin_ = n_evaluated_;
  for (const TokenId id : ids) {
    if (n_evaluated_ >= file_->n_positions()) {
      bad_input("trace_too_short",
                fmt::format("the trace ends after {} positions", file_->n_positions()),
                file_->path(), "save a longer one, or lower --max-tokens");
    }
    const TokenId saved = file_->tokens()[static_cast<size_t>(n_evaluated_)];
    if (saved != id) {
      bad_input("other_tokens",
                fmt::format("the trace has id {} at position {}, the other side {}", saved,
                            n_evaluated_, id),
                file_->path(), "save the trace again for these ids, or use --max-tokens 0");
    }
    ++n_evaluated_;
  }
}

void TraceEngine::read_logits(int first_row, int n_rows, std::span<float> out) {
  assert(first_row >= 0 && n_rows >= 0 && latest_begin_ + first_row + n_rows <= n_evaluated_);
  const auto n_vocab = static_cast<size_t>(info_.n_vocab);
  assert(out.size() == n_vocab * static_cast<size_t>(n_rows));
  for (int i = 0; i < n_rows; ++i) {
    file_->read_logits(latest_begin_ + first_row + i,
                       out.subspan(static_cast<size_t>(i) * n_vocab, n_vocab));
  }
}

}  // namespace crossval
