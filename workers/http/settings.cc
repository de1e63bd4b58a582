#include "settings.h"

#include <charconv>
#include <optional>

#include "base/error.h"

namespace crossval::http {
namespace {

constexpr int kDefaultTop = 100, kMostTop = 1 << 20;
constexpr int kDefaultTimeoutS = 60, kMostTimeoutS = 86'400;

int whole_number(const std::string& key, const std::string& text, int most) {
  int value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    bad_input("bad_setting", key + " is a whole number from 1 to " + std::to_string(most),
              "--backend-opt " + key, "write --backend-opt " + key + "=20");
  }
  return value;
}

}  // namespace

AllSettings parse_settings(const std::map<std::string, std::string>& texts) {
  AllSettings settings;
  settings.dialect.n_top = kDefaultTop;
  settings.timeout = std::chrono::seconds(kDefaultTimeoutS);
  for (const auto& [key, text] : texts) {
    if (key == "top") {
      settings.dialect.n_top = whole_number(key, text, kMostTop);
    } else if (key == "timeout") {
      settings.timeout = std::chrono::seconds(whole_number(key, text, kMostTimeoutS));
    } else if (key == "model") {
      settings.dialect.model = text;
    } else if (key == "kv_type") {
      settings.said["kv_type_k"] = settings.said["kv_type_v"] = text;
    } else if (key == "kv_type_k" || key == "kv_type_v" || key == "flash_attn") {
      settings.said[key] = text;
    } else {
      bad_input("unknown_setting", "a server has no setting '" + key + "'", "--backend-opt",
                "known: top, timeout, model, kv_type, kv_type_k, kv_type_v, flash_attn");
    }
  }
  return settings;
}

}  // namespace crossval::http
