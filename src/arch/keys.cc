#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arch/config.h"
#include "base/error.h"

namespace crossval {

int Keys::checked(const char* name, int64_t value, int64_t min, int64_t max) const {
  if (value < min || value > max) {
    bad_input("bad_hyperparameter",
              fmt::format("'{}' is {}, expected {} to {}", full(name), value, min, max),
              model_.path(), "correct this metadata key or convert the model again");
  }
  return static_cast<int>(value);
}

int Keys::required_int(const char* name, int64_t max) const {
  const auto value = model_.get_int(full(name));
  if (!value) {
    bad_input("missing_key", fmt::format("the model has no metadata key '{}'", full(name)),
              model_.path(), "convert the model again with a current converter");
  }
  return checked(name, *value, 1, max);
}

int Keys::optional_int(const char* name, int fallback, int64_t max) const {
  const auto value = model_.get_int(full(name));
  return value ? checked(name, *value, 1, max) : fallback;
}

int Keys::count(const char* name, int fallback, int64_t max) const {
  const auto value = model_.get_int(full(name));
  return value ? checked(name, *value, 0, max) : fallback;
}

float Keys::optional_float(const char* name, float fallback) const {
  const auto value = model_.get_float(full(name));
  if (!value) return fallback;
  if (!std::isfinite(*value)) {
    bad_input("bad_hyperparameter", fmt::format("'{}' is not a finite number", full(name)),
              model_.path(), "correct this metadata key");
  }
  return static_cast<float>(*value);
}

bool Keys::optional_bool(const char* name, bool fallback) const {
  return model_.get_bool(full(name)).value_or(fallback);
}

std::string Keys::optional_string(const char* name, const char* fallback) const {
  return model_.get_string(full(name)).value_or(fallback);
}

std::vector<int> Keys::per_layer(const char* name, int n_layers, std::optional<int> fallback,
                                 int64_t max) const {
  const MetaValue* value = model_.find(full(name));
  const auto n = static_cast<size_t>(n_layers);
  if (value != nullptr) {
    if (const auto* list = std::get_if<std::vector<int64_t>>(&value->value)) {
      if (list->size() < n) {
        bad_input(
            "bad_hyperparameter",
            fmt::format("'{}' has {} values for {} layers", full(name), list->size(), n_layers),
            model_.path(), "correct this metadata key or convert the model again");
      }
      std::vector<int> all;
      for (size_t layer = 0; layer < n; ++layer)
        all.push_back(checked(name, (*list)[layer], 0, max));
      return all;
    }
  }
  return std::vector<int>(n, fallback ? count(name, *fallback, max) : required_int(name, max));
}

std::vector<int64_t> Keys::list(const char* name, int n_values, int64_t min) const {
  const MetaValue* value = model_.find(full(name));
  const auto* all = value == nullptr ? nullptr : std::get_if<std::vector<int64_t>>(&value->value);
  const auto n = static_cast<size_t>(n_values);
  if (all == nullptr || all->size() < n ||
      std::any_of(all->begin(), all->begin() + n_values, [min](int64_t x) { return x < min; })) {
    bad_input("bad_hyperparameter",
              fmt::format("'{}' is no list of {} numbers, none too small", full(name), n_values),
              model_.path(), "correct this metadata key or convert the model again");
  }
  return {all->begin(), all->begin() + n_values};
}

std::vector<bool> Keys::flags(const char* name) const {
  const MetaValue* value = model_.find(full(name));
  if (value == nullptr) return {};
  if (const auto* list = std::get_if<std::vector<bool>>(&value->value)) return *list;
  std::vector<bool> all;
  if (const auto* numbers = std::get_if<std::vector<int64_t>>(&value->value)) {
    for (const int64_t number : *numbers) all.push_back(number != 0);
  }
  return all;
}

}  // namespace crossval
