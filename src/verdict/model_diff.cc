#include "verdict/model_diff.h"

#include <fmt/format.h>

#include "verdict/finding_words.h"

namespace crossval {
namespace {

constexpr size_t kShownKeys = 4;

std::string keys_words(const ModelDiff& diff, bool bears) {
  std::string words;
  int64_t n = 0;
  for (const KeyDifference& key : diff.keys) {
    if (key.bears != bears) continue;
    if (static_cast<size_t>(++n) > kShownKeys) continue;
    words += fmt::format("{}{} {}, {}", n > 1 ? "; " : "", key.key, key.engine.value_or("absent"),
                         key.backend.value_or("absent"));
  }
  if (n == 0) return "";
  if (static_cast<size_t>(n) > kShownKeys) words += "; ...";
  return fmt::format("{}: {}", plural(n, "key"), words);
}

std::string group_words(const TensorDifference& group) {
  using Kind = TensorDifference::Kind;
  std::string words = fmt::format("{} of {} {} tensors", group.n, group.of,
                                  group.type.empty() ? group.backend_type : group.type);
  if (group.n == 1 && !group.tensors.empty()) words = group.tensors.front();
  switch (group.kind) {
    case Kind::only_engine:
      return words + " only in the engine's file";
    case Kind::only_backend:
      return words + " only in the backend's file";
    case Kind::shape:
      return words + " of another shape";
    case Kind::type:
      words += fmt::format(" stored as {} by the backend's file", group.backend_type);
      break;
    case Kind::values:
      words += " not the same";
      break;
  }
  if (!group.bears) return words + ", with the same values";
  if (group.rel_l2) words += fmt::format(" (relative distance up to {:.2g})", *group.rel_l2);
  if (group.is_rounding) {
    words += *group.is_rounding ? ", as far apart as rounding to that type makes them"
                                : ", farther apart than rounding to that type makes them";
  }
  return words;
}

}  // namespace

const char* difference_name(TensorDifference::Kind kind) {
  using Kind = TensorDifference::Kind;
  switch (kind) {
    case Kind::only_engine:
      return "only_engine";
    case Kind::only_backend:
      return "only_backend";
    case Kind::shape:
      return "shape";
    case Kind::type:
      return "type";
    case Kind::values:
      break;
  }
  return "values";
}

std::vector<std::string> model_diff_notes(const ModelDiff& diff) {
  const auto joined = [&](bool bears) {
    std::string words = keys_words(diff, bears);
    const auto add = [&](const std::string& more) {
      if (!more.empty()) words += (words.empty() ? "" : "; ") + more;
    };
    for (const TensorDifference& group : diff.tensors) {
      if (group.bears == bears) add(group_words(group));
    }
    if (!bears) {
      add(diff.vocabulary);
      add(diff.chat_template);
    }
    return words;
  };
  std::vector<std::string> notes;
  if (const std::string words = joined(true); !words.empty()) {
    notes.push_back("files: the two sides read different models: " + words);
  }
  if (diff.other_checkpoint) {
    notes.emplace_back(
        "files: nearly all weights have moved, each its own way: the backend's file is another "
        "checkpoint, which is no fault of an engine");
  }
  if (diff.adapter_rank > 0) {
    notes.push_back(
        fmt::format("files: what has moved are matrices alone, by a move of rank {} or less: the "
                    "backend's file "
                    "is a fine-tune (an adapter merged in), which is no fault of an engine",
                    diff.adapter_rank));
  }
  if (const std::string words = joined(false); !words.empty()) {
    notes.push_back("files: what also differs does not bear on the logits: " + words);
  }
  return notes;
}

}  // namespace crossval
