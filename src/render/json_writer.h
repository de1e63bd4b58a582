// Makes the JSON of whatever is described (verdict/fields.h): null for what is unknown and for
// numbers that are not finite.
#pragma once

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "compare/metrics.h"
#include "verdict/conversion_fields.h"
#include "verdict/trace_fields.h"

namespace crossval {

using Json = nlohmann::ordered_json;

// Declared before they are used: types of std are not looked up in this namespace.
template <class T>
Json to_json(const T& value);
template <class T>
Json to_json(const std::optional<T>& value);
template <class T>
Json to_json(const std::vector<T>& values);
Json to_json(const std::map<std::string, std::string>& texts);
Json to_json(const char* text);

class JsonWriter {
 public:
  template <class T>
  void operator()(const char* key, const T& value, const char* /*meaning*/) {
    out_[key] = to_json(value);
  }
  void known(const char* key, const std::string& text, const char*) {
    out_[key] = text.empty() ? Json(nullptr) : Json(text);
  }
  void known(const char* key, int value, const char*) {
    out_[key] = value == 0 ? Json(nullptr) : Json(value);
  }
  template <class T, class Describe>
  void list(const char* key, const std::vector<T>& values, const Describe& describe_one) {
    Json& list = out_[key] = Json::array();
    for (const T& value : values) list.push_back(to_json(describe_one(value)));
  }
  void metrics(const PositionMetrics& metrics, const MetricSet& asked) {
    for (const MetricInfo& row : metric_table()) {
      metric_json(row, has(asked, row) ? &metrics : nullptr, out_);
    }
  }

  Json take() { return std::move(out_); }

 private:
  Json out_ = Json::object();
};

template <class T>
Json to_json(const std::optional<T>& value) {
  return value ? to_json(*value) : Json(nullptr);
}
template <class T>
Json to_json(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(to_json(value));
  return list;
}

template <class T>
Json to_json(const T& value) {
  if constexpr (std::is_floating_point_v<T>) {
    return std::isfinite(value) ? Json(value) : Json(nullptr);
  } else if constexpr (std::is_arithmetic_v<T> || std::is_convertible_v<T, std::string_view>) {
    return Json(value);
  } else {
    JsonWriter writer;
    describe(writer, value);
    return writer.take();
  }
}

}  // namespace crossval
