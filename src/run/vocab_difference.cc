#include "run/vocab_difference.h"

#include <fmt/format.h>

#include <set>
#include <string_view>
#include <type_traits>

#include "base/printable.h"

namespace crossval {
namespace {

constexpr std::string_view kPrefix = "tokenizer.ggml.";

// A single value as text; "" for arrays, which are too long to show.
std::string shown(const MetaValue* value) {
  if (value == nullptr) return "absent";
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>) return v ? "true" : "false";
        if constexpr (std::is_same_v<T, std::string_view>) return printable(v);
        if constexpr (std::is_arithmetic_v<T>) return fmt::format("{}", v);
        return "";
      },
      value->value);
}

}  // namespace

std::string vocab_difference(const ModelFile& engine, const ModelFile& backend) {
  std::set<std::string_view> keys;
  for (const ModelFile* model : {&engine, &backend}) {
    for (const auto& [key, value] : model->metadata()) {
      if (key.starts_with(kPrefix)) keys.insert(key);
    }
  }
  std::string words;
  for (std::string_view key : keys) {
    const std::string a = shown(engine.find(key)), b = shown(backend.find(key));
    if (a == b || a.empty() || b.empty()) continue;
    words += fmt::format("{}{} is {} in the engine's model and {} in the backend's",
                         words.empty() ? "" : "; ", key, a, b);
  }
  return words;
}

}  // namespace crossval
