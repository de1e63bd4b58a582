// Values in config.json of a checkpoint by path.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crossval {

// A value and where it stands; null where it is not there, or is null.
struct ConfigValue {
  nlohmann::json value;
  std::string path;

  explicit operator bool() const { return !value.is_null(); }
  bool is_number() const { return value.is_number(); }
};

// The first of several paths, parted by '|'; steps of a path are parted by '.'.
ConfigValue find_value(const nlohmann::json& config, std::string_view paths);

// The parameters of rotation under a name: of all layers, or of those that see everything.
ConfigValue find_rope_value(const nlohmann::json& config, std::string_view name);

// A whole number; nullopt also for one that is none, or beyond what a size can be.
std::optional<int64_t> whole(double value);
std::optional<double> find_number(const nlohmann::json& config, std::string_view paths);

// Which layers are of a type, from `layer_types`, `attn_layer_indices` or a period of attention;
// empty where config.json says none of it.
std::vector<bool> layers_of_type(const nlohmann::json& config, std::string_view type);
std::vector<bool> layers_with_attention(const nlohmann::json& config, int n_layers);

}  // namespace crossval
