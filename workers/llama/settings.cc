// The table behind --backend-opt.
#include "settings.h"

#include <charconv>
#include <cstdlib>

#include "base/error.h"

namespace crossval::llama {
namespace {

bool parse_switch(const std::string& text, bool& out) {
  if (text == "on" || text == "true" || text == "1") {
    out = true;
  } else if (text == "off" || text == "false" || text == "0") {
    out = false;
  } else {
    return false;
  }
  return true;
}

bool parse_flash(const std::string& text, int& out) {
  if (text == "auto") {
    out = -1;
    return true;
  }
  bool on = false;
  if (!parse_switch(text, on)) {
    return false;
  }
  out = on ? 1 : 0;
  return true;
}

bool parse_count(const std::string& text, int& out) {
  const char* end = text.data() + text.size();
  const auto result = std::from_chars(text.data(), end, out);
  return result.ec == std::errc() && result.ptr == end && out >= 0 && out <= (1 << 24);
}

bool parse_positive(const std::string& text, float& out) {
  char* end = nullptr;
  out = std::strtof(text.c_str(), &end);
  return !text.empty() && *end == '\0' && out > 0 && out < 1e12f;
}

struct Row {
  const char* key;
  const char* values;
  bool (*parse)(const std::string& text, Settings& out);
};

constexpr Row kTable[] = {
    {"flash_attn", "on|off|auto",
     [](const std::string& v, Settings& s) { return parse_flash(v, s.flash_attn); }},
    {"kv_type", "a ggml type: f32, f16, q8_0, ...; widest",
     [](const std::string& v, Settings& s) {
       s.kv_type_k = s.kv_type_v = v;
       return !v.empty();
     }},
    {"kv_type_k", "as kv_type, keys only",
     [](const std::string& v, Settings& s) {
       s.kv_type_k = v;
       return !v.empty();
     }},
    {"kv_type_v", "as kv_type, values only",
     [](const std::string& v, Settings& s) {
       s.kv_type_v = v;
       return !v.empty();
     }},
    {"extra_bufts", "on|off",
     [](const std::string& v, Settings& s) { return parse_switch(v, s.extra_bufts); }},
    {"ubatch", "N, 0 = the whole prompt at once",
     [](const std::string& v, Settings& s) { return parse_count(v, s.ubatch); }},
    {"n_ctx", "N, 0 = as needed",
     [](const std::string& v, Settings& s) { return parse_count(v, s.n_ctx); }},
    {"mmap", "on|off", [](const std::string& v, Settings& s) { return parse_switch(v, s.mmap); }},
    {"rope_freq_base", "a positive number instead of the model's",
     [](const std::string& v, Settings& s) { return parse_positive(v, s.rope_freq_base); }},
    {"rope_freq_scale", "a positive number instead of the model's",
     [](const std::string& v, Settings& s) { return parse_positive(v, s.rope_freq_scale); }},
    {"check_tensors", "on|off",
     [](const std::string& v, Settings& s) { return parse_switch(v, s.check_tensors); }},
};

}  // namespace

Settings parse_settings(const std::map<std::string, std::string>& values) {
  Settings settings;
  // In table order, so that kv_type_k refines kv_type whatever order they were given in.
  size_t n_known = 0;
  for (const Row& row : kTable) {
    const auto found = values.find(row.key);
    if (found == values.end()) {
      continue;
    }
    ++n_known;
    if (!row.parse(found->second, settings)) {
      bad_input("bad_setting",
                "the engine setting " + found->first + " cannot be '" + found->second + "'",
                "--backend-opt " + found->first, std::string("accepted: ") + row.values);
    }
  }
  if (n_known != values.size()) {
    std::string known;
    for (const Row& row : kTable) {
      known += (known.empty() ? "" : ", ") + std::string(row.key);
    }
    for (const auto& [key, value] : values) {
      bool found = false;
      for (const Row& row : kTable) {
        found = found || key == row.key;
      }
      if (!found) {
        bad_input("unknown_setting", "this engine has no setting '" + key + "'",
                  "--backend-opt " + key, "known settings: " + known);
      }
    }
  }
  return settings;
}

}  // namespace crossval::llama
