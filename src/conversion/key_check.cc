#include "conversion/key_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <type_traits>

#include "arch/checkpoint_keys.h"
#include "conversion/fault_list.h"

namespace crossval {
namespace {

using nlohmann::json;

json as_json(const MetaValue& value) {
  return std::visit(
      [](const auto& held) -> json {
        using T = std::decay_t<decltype(held)>;
        if constexpr (std::is_same_v<T, MetaValue::StringArray>) {
          return json(std::vector<std::string>(held.begin(), held.end()));
        } else if constexpr (std::is_same_v<T, std::string_view>) {
          return json(std::string(held));
        } else {
          return json(held);
        }
      },
      value.value);
}

// Numbers of a file are f32. One number stands for a list of as many of it.
bool is_same(const json& actual, const json& expected) {
  if (actual.is_array() && expected.is_array()) {
    return std::ranges::equal(actual, expected, is_same);
  }
  if (actual.is_array()) {
    return std::ranges::all_of(actual, [&](const json& one) { return is_same(one, expected); });
  }
  if (expected.is_array()) {
    return std::ranges::all_of(expected, [&](const json& one) { return is_same(actual, one); });
  }
  if (actual.is_number_integer() && expected.is_number_integer()) return actual == expected;
  if (actual.is_number() && expected.is_number()) {
    const auto a = actual.get<double>(), b = expected.get<double>();
    return std::abs(a - b) <= 1e-6 * std::abs(b);
  }
  return actual == expected;
}

std::string shown(const json& value) {
  std::string text = value.is_number_float()
                         ? fmt::format("{:.7g}", value.get<double>())
                         : value.dump(-1, ' ', false, json::error_handler_t::replace);
  constexpr size_t kLongest = 120;
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

void check_layers(const ConversionModel& of, FaultList& faults) {
  for (const ExpectedLayers& layers : expected_layers(of.arch, of.config, of.facts)) {
    faults.compared();
    if (layers.expected == layers.actual) continue;
    std::string differing;
    for (size_t i = 0; i < layers.expected.size(); ++i) {
      if (layers.expected[i] == layers.actual[i] || differing.size() > 80) continue;
      differing += fmt::format("{}{}", differing.empty() ? "" : ", ", i);
    }
    faults.add({.kind = "key",
                .where = fmt::format("layers with {}", layers.what),
                .source = layers.from,
                .cause = "key wrong",
                .expected = shown(layers.expected),
                .actual = shown(layers.actual),
                .explanation = fmt::format("layers {} differ", differing)});
  }
}

}  // namespace

void check_keys(const ConversionModel& of, ConversionReport& report) {
  FaultList faults(report.faults, report.keys);
  std::set<std::string> seen;
  const std::string prefix = of.model.architecture() + ".";
  for (const ExpectedKey& expected : expected_keys(of.arch, of.config, of.facts)) {
    const std::string key = prefix + expected.key;
    const MetaValue* held = of.model.find(key);
    if (held == nullptr && expected.fallback.is_null()) continue;
    if (!seen.insert(key).second && held != nullptr &&
        std::ranges::any_of(report.faults, [&](const auto& fault) { return fault.where == key; })) {
      continue;
    }
    const json actual = held != nullptr ? as_json(*held) : expected.fallback;
    faults.compared();
    if (is_same(actual, expected.expected) ||
        (!expected.also.is_null() && is_same(actual, expected.also))) {
      continue;
    }
    faults.add(
        {.kind = "key",
         .where = key,
         .source = expected.from,
         .cause = held != nullptr ? "key wrong" : "key missing",
         .expected = shown(expected.expected),
         .actual = shown(actual),
         .explanation = fmt::format("it is {}{}, config.json makes it {} ({})", shown(actual),
                                    held != nullptr ? "" : " (what engines take without it)",
                                    shown(expected.expected), expected.from)});
  }
  check_layers(of, faults);
  for (const auto& [key, value] : of.model.metadata()) {
    if (!key.starts_with(prefix) || seen.contains(key)) continue;
    report.notes.push_back(fmt::format("config.json says nothing about '{}'", key));
  }
}

}  // namespace crossval
