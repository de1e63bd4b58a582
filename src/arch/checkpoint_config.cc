#include "arch/checkpoint_config.h"

#include <fmt/format.h>

#include <cmath>

namespace crossval {
namespace {

using nlohmann::json;

const json* at_path(const json& config, std::string_view path) {
  const json* at = &config;
  while (!path.empty()) {
    if (!at->is_object()) return nullptr;
    const size_t dot = path.find('.');
    const auto next = at->find(std::string(path.substr(0, dot)));
    if (next == at->end()) return nullptr;
    at = &*next;
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  return at;
}

// One for all layers, or those of layers that see everything; older checkpoints have rope_scaling.
constexpr std::string_view kRopePlaces[] = {"rope_parameters.full_attention", "rope_parameters",
                                            "rope_scaling.full_attention", "rope_scaling"};

}  // namespace

ConfigValue find_value(const json& config, std::string_view paths) {
  while (!paths.empty()) {
    const size_t bar = paths.find('|');
    const std::string_view path = paths.substr(0, bar);
    const json* at = at_path(config, path);
    if (at != nullptr && !at->is_null() && !at->is_object()) return {*at, std::string(path)};
    paths = bar == std::string_view::npos ? std::string_view() : paths.substr(bar + 1);
  }
  return {};
}

ConfigValue find_rope_value(const json& config, std::string_view name) {
  for (const std::string_view place : kRopePlaces) {
    if (ConfigValue found = find_value(config, fmt::format("{}.{}", place, name))) return found;
  }
  return {};
}

std::optional<int64_t> whole(double value) {
  constexpr double kMost = 1e15;
  if (!(std::abs(value) < kMost)) return std::nullopt;
  return static_cast<int64_t>(value);
}

std::optional<double> find_number(const json& config, std::string_view paths) {
  const ConfigValue found = find_value(config, paths);
  return found.is_number() ? std::optional(found.value.get<double>()) : std::nullopt;
}

std::vector<bool> layers_of_type(const json& config, std::string_view type) {
  const ConfigValue types = find_value(config, "layer_types");
  std::vector<bool> all;
  if (!types.value.is_array()) return all;
  for (const json& value : types.value) {
    if (!value.is_string()) return {};
    all.push_back(value.get<std::string>() == type);
  }
  return all;
}

std::vector<bool> layers_with_attention(const json& config, int n_layers) {
  const auto n = static_cast<size_t>(n_layers);
  if (std::vector<bool> all = layers_of_type(config, "attention"); all.size() == n) {
    const std::vector<bool> full = layers_of_type(config, "full_attention");
    for (size_t i = 0; i < n; ++i) all[i] = all[i] || full[i];
    return all;
  }
  std::vector<bool> all(n, false);
  if (const ConfigValue indices = find_value(config, "attn_layer_indices");
      indices.value.is_array()) {
    for (const json& index : indices.value) {
      if (!index.is_number_unsigned() || index.get<uint64_t>() >= n) return {};
      all[index.get<uint64_t>()] = true;
    }
    return all;
  }
  const auto period = find_number(config, "attn_layer_period");
  const auto first = find_number(config, "attn_layer_offset");
  if (!period || !first || !(*period >= 1 && *period <= 1e6) || !(*first >= 0 && *first <= 1e6)) {
    return {};
  }
  for (auto i = static_cast<size_t>(*first); i < n; i += static_cast<size_t>(*period)) {
    all[i] = true;
  }
  return all;
}

}  // namespace crossval
