// Values of a server's answer, each checked before it is used; what is wrong names its key.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client.h"
#include "engine/top_row.h"

namespace crossval::http {

class Reading {
 public:
  Reading(const Client& client, std::string path) : client_(client), path_(std::move(path)) {}

  using Json = nlohmann::json;
  const Json& at(const Json& object, const char* key) const {
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || found == object.end()) lacks(key);
    return *found;
  }
  const Json& list(const Json& object, const char* key) const {
    const Json& value = at(object, key);
    if (!value.is_array()) lacks(key);
    return value;
  }
  const Json& element(const Json& array, size_t i, const char* key) const {
    if (!array.is_array() || i >= array.size()) lacks(key);
    return array[i];
  }
  // One entry for each of the ids that were sent.
  const Json& list_of(const Json& object, const char* key, size_t n_ids) const {
    const Json& value = list(object, key);
    if (value.size() != n_ids) {
      nonsense(std::string("has ") + key + " of " + std::to_string(value.size()) + " ids, and " +
               std::to_string(n_ids) + " were sent");
    }
    return value;
  }
  std::string text(const Json& object, const char* key) const {
    const Json& value = at(object, key);
    if (!value.is_string()) lacks(key);
    return value.get<std::string>();
  }
  int32_t id(const Json& value) const {
    if (!value.is_number_integer()) lacks("id");
    const auto number = value.get<int64_t>();
    if (number < 0 || number > std::numeric_limits<int32_t>::max() ||
        (value.is_number_unsigned() && value.get<uint64_t>() > (uint64_t{1} << 31))) {
      client_.nonsense(path_, "names a token " + value.dump());
    }
    return static_cast<int32_t>(number);
  }
  std::vector<int32_t> ids(const Json& array) const {
    if (!array.is_array()) lacks("tokens");
    std::vector<int32_t> out;
    for (const Json& value : array) {
      out.push_back(id(value.is_object() ? at(value, "id") : value));
    }
    return out;
  }
  float logprob(const Json& value) const {
    if (!value.is_number()) lacks("logprob");
    return value.get<float>();
  }

  [[noreturn]] void lacks(const std::string& key) const {
    client_.nonsense(path_, "lacks a usable \"" + key + "\"");
  }
  [[noreturn]] void nonsense(const std::string& what) const { client_.nonsense(path_, what); }

 private:
  const Client& client_;
  std::string path_;
};

// Servers put the id that was given beside the likeliest, however unlikely it is, and say a
// probability of 0 as the lowest float: the n_top likeliest stay, without those.
inline void keep_likeliest(TopRow& row, int n_top) {
  constexpr float lowest = -1e30f;
  std::erase_if(row, [](const TopEntry& one) { return one.logit < lowest; });
  std::ranges::stable_sort(row, std::greater<>(), &TopEntry::logit);
  if (row.size() > static_cast<size_t>(n_top)) row.resize(static_cast<size_t>(n_top));
}

// A text field where there is one.
inline std::string text_or(const nlohmann::json& object, const char* key,
                           const std::string& otherwise = "") {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && found != object.end() && found->is_string()
             ? found->get<std::string>()
             : otherwise;
}
inline int count_or(const nlohmann::json& object, const char* key, int otherwise = 0) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || found == object.end() || !found->is_number_integer()) return otherwise;
  const auto value = found->get<int64_t>();
  return value >= 0 && value <= std::numeric_limits<int>::max() ? static_cast<int>(value)
                                                                : otherwise;
}

// The one model of /v1/models, or the one that was named. Throws bad_input that lists them.
std::string choose_model(const Client& client, const nlohmann::json& answer, const char* list_key,
                         const char* name_key, const std::string& wanted);

}  // namespace crossval::http
