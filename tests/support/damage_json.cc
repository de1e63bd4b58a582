#include "support/damage_json.h"

#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <vector>

#include "support/damage.h"

namespace crossval::testing {
namespace {

using Json = nlohmann::ordered_json;

class JsonDamager {
 public:
  explicit JsonDamager(uint64_t seed) : random_(seed) {}

  uint64_t below(uint64_t n) { return n == 0 ? 0 : random_() % n; }

  void damage_once(Json& root) {
    std::vector<Json*> values;
    collect(root, values);
    Json& value = *values[below(values.size())];
    if (below(3) != 0 && change_within_kind(value)) return;
    switch (below(5)) {
      case 0:
        if (!value.empty() && value.is_structured()) {
          value.erase(std::next(value.begin(), static_cast<int>(below(value.size()))));
          break;
        }
        [[fallthrough]];
      case 1:
        value = Json(*values[below(values.size())]);  // the value of another place
        break;
      case 2:
        if (value.is_array() && !value.empty()) {
          value.push_back(Json(value[below(value.size())]));
          break;
        }
        [[fallthrough]];
      default:
        value = nasty();
        break;
    }
  }

 private:
  // What a reader is likely to take, and then to use.
  bool change_within_kind(Json& value) {
    if (value.is_boolean()) {
      value = !value.get<bool>();
    } else if (value.is_number_integer()) {
      value = static_cast<int64_t>(static_cast<uint64_t>(value.get<int64_t>()) + below(9) - 4);
    } else if (value.is_string()) {
      auto text = value.get<std::string>();
      const size_t at = below(text.size() + 1);
      if (below(2) == 0) {
        text.insert(at, text.substr(below(text.size() + 1), 1 + below(8)));
      } else {
        text.erase(at, 1 + below(3));
      }
      value = text;
    } else {
      return false;
    }
    return true;
  }

  static void collect(Json& value, std::vector<Json*>& into) {
    into.push_back(&value);
    if (!value.is_structured()) return;
    for (Json& inner : value) collect(inner, into);
  }

  Json nasty() {
    switch (below(12)) {
      case 0:
        return nullptr;
      case 1:
        return below(2) == 0;
      case 2:
        return -1;
      case 3:
        return 0;
      case 4:
        return INT32_MAX - static_cast<int64_t>(below(2));
      case 5:
        return INT64_MAX;
      case 6:
        return INT64_MIN;
      case 7:
        return UINT64_MAX;
      case 8:
        return below(2) == 0 ? 1e308 : 0.5;
      case 9:
        return std::string(below(2) * 70'000, 'x') + "\x1b[2J\xc2\xa0";
      case 10:
        return Json::array({Json::array(), Json::object(), ""});
      default:
        return nested(1 + static_cast<int>(below(80)));
    }
  }

  static Json nested(int depth) {
    Json value = 1;
    for (int i = 0; i < depth; ++i) value = Json::array({std::move(value)});
    return value;
  }

  std::mt19937_64 random_;
};

}  // namespace

std::string damaged_json_lines(const std::string& good, size_t header_bytes, uint64_t seed) {
  JsonDamager damager(seed);
  if (damager.below(4) == 0) return damaged_copy(good, header_bytes, seed);
  std::vector<std::string> lines;
  std::istringstream in(good);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  if (lines.empty()) return good;
  std::string& line = lines[damager.below(lines.size())];
  Json json = Json::parse(line, nullptr, false);
  if (!json.is_discarded()) {
    const uint64_t n = 1 + damager.below(3);
    for (uint64_t i = 0; i < n; ++i) damager.damage_once(json);
    line = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  }
  std::string damaged;
  for (const std::string& each : lines) damaged += each + "\n";
  return damaged;
}

}  // namespace crossval::testing
