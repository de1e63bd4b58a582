#include "run/key_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/printable.h"
#include "run/bearing_keys.h"
#include "run/vocab_difference.h"

namespace crossval {
namespace {

constexpr size_t kShownValues = 6;

// The value on one line, at most `max_values` of a list.
std::string value_text(const MetaValue& value, size_t max_values) {
  return std::visit(
      [&](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return printable(v, 60);
        } else if constexpr (std::is_same_v<T, bool>) {
          return v ? "true" : "false";
        } else if constexpr (std::is_arithmetic_v<T>) {
          return metadata_number(static_cast<double>(v));
        } else {
          std::string out = "[";
          for (size_t i = 0; i < std::min(v.size(), max_values); ++i) {
            out += i > 0 ? ", " : "";
            if constexpr (std::is_same_v<T, MetaValue::StringArray>) {
              out += printable(v[i], 20);
            } else {
              out += metadata_number(static_cast<double>(v[i]));
            }
          }
          if (v.size() > max_values) out += fmt::format(", ... {} values", v.size());
          return out + "]";
        }
      },
      value.value);
}

bool same_value(const MetaValue* a, const MetaValue* b) {
  return a != nullptr && b != nullptr && a->gguf_type == b->gguf_type &&
         a->element_type == b->element_type && std::ranges::equal(a->raw, b->raw);
}

size_t list_size(const MetaValue& value) {
  return std::visit(
      [](const auto& v) -> size_t {
        if constexpr (requires { v.size(); }) return v.size();
        return 1;
      },
      value.value);
}

}  // namespace

std::vector<KeyDifference> key_differences(const ModelFile& engine, const ModelFile& backend) {
  std::set<std::string_view> keys;
  for (const ModelFile* model : {&engine, &backend}) {
    for (const auto& [key, value] : model->metadata()) {
      if (!key.starts_with("tokenizer.") && !key.starts_with("split.")) keys.insert(key);
    }
  }
  std::vector<KeyDifference> out;
  for (const std::string_view key : keys) {
    const MetaValue *ours = engine.find(key), *theirs = backend.find(key);
    if (same_value(ours, theirs)) continue;
    KeyDifference difference{.key = std::string(key)};
    if (ours != nullptr) difference.engine = value_text(*ours, kShownValues);
    if (theirs != nullptr) difference.backend = value_text(*theirs, kShownValues);
    difference.bears = key_bears(key, engine, backend);
    out.push_back(std::move(difference));
  }
  return out;
}

std::string vocabulary_words(const ModelFile& engine, const ModelFile& backend) {
  std::string words;
  const auto add = [&](const std::string& more) { words += (words.empty() ? "" : "; ") + more; };
  for (const std::string_view list : {"tokens", "scores", "token_type", "merges"}) {
    const std::string key = "tokenizer.ggml." + std::string(list);
    const MetaValue *ours = engine.find(key), *theirs = backend.find(key);
    if ((ours == nullptr && theirs == nullptr) || same_value(ours, theirs)) continue;
    const auto size = [](const MetaValue* value) {
      return value == nullptr ? "none" : std::to_string(list_size(*value));
    };
    add(fmt::format("{} differ ({}, {})", key, size(ours), size(theirs)));
  }
  if (const std::string singles = vocab_difference(engine, backend); !singles.empty()) add(singles);
  return words.empty() ? "" : "the vocabulary: " + words;
}

std::string template_words(const ModelFile& engine, const ModelFile& backend) {
  constexpr std::string_view key = "tokenizer.chat_template";
  const MetaValue *ours = engine.find(key), *theirs = backend.find(key);
  if ((ours == nullptr && theirs == nullptr) || same_value(ours, theirs)) return "";
  return ours == nullptr     ? "the chat template, which only the backend's file has"
         : theirs == nullptr ? "the chat template, which only the engine's file has"
                             : "the chat template";
}

}  // namespace crossval
