#include "run/self_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <thread>

namespace crossval {
namespace {

std::string value_of(const EngineInfo& info, const char* key) {
  const auto found = info.settings.find(key);
  return found == info.settings.end() ? "" : found->second;
}

SelfSetting repeat(const char* name, const char* changed) {
  SelfSetting setting;
  setting.name = name;
  setting.changed = changed;
  setting.must_be_equal = setting.same_graph = setting.same_pieces = true;
  return setting;
}

SelfSetting other(const char* name, std::vector<std::string> opts) {
  SelfSetting setting;
  setting.name = name;
  for (const std::string& opt : opts) setting.changed += (&opt == &opts[0] ? "" : " ") + opt;
  setting.opts = std::move(opts);
  setting.same_pieces = true;
  setting.may_refuse = true;
  return setting;
}

void add_threads(const EngineInfo& info, std::vector<SelfSetting>& settings) {
  const int n_cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  std::set<int> counts = {1, 3, n_cores};
  counts.erase(info.n_threads);
  for (const int n : counts) {
    settings.push_back(repeat("threads", ""));
    settings.back().changed = fmt::format("--threads {}", n);
    settings.back().n_threads = n;
  }
}

// Where nothing is said of them, the cache has the widest type and attention is not fused.
void add_attention(const EngineInfo& info, std::vector<SelfSetting>& settings) {
  const bool is_flash = value_of(info, "flash_attn") == "on";
  const std::string kv_type = value_of(info, "kv_type_k");
  settings.push_back(other("flash attention", {is_flash ? "flash_attn=off" : "flash_attn=on"}));
  settings.push_back(other("cache type", {kv_type == "f16" ? "kv_type=f32" : "kv_type=f16"}));
  if (kv_type == "q8_0") return;
  settings.push_back(other("cache type", {"kv_type=q8_0"}));
  if (is_flash) return;
  settings.push_back(other("cache type", {"kv_type_k=q8_0"}));
  settings.push_back(other("flash, cache type", {"flash_attn=on", "kv_type=f16"}));
  settings.push_back(other("flash, cache type", {"flash_attn=on", "kv_type=q8_0"}));
}

}  // namespace

std::vector<SelfSetting> self_settings(const EngineInfo& info, int n_ids, bool has_tensors) {
  std::vector<SelfSetting> settings;
  settings.push_back(repeat("run again", "the same process"));
  settings.back().same_worker = true;
  settings.push_back(repeat("run again", "a new process"));
  if (has_tensors) {
    settings.push_back(repeat("nobody looks", "no tensor is captured"));
    settings.back().show_tensors = false;
  }
  add_threads(info, settings);
  const int n_ctx = std::max(n_ids, std::atoi(value_of(info, "n_ctx").c_str()));
  settings.push_back(other("larger context", {fmt::format("n_ctx={}", 2 * n_ctx)}));
  settings.back().same_graph = true;
  settings.back().same_pieces = false;
  const int ubatch = n_ids > 8 ? 8 : (n_ids + 1) / 2;
  if (n_ids > 1) {
    if (value_of(info, "ubatch") != std::to_string(ubatch)) {
      settings.push_back(other("smaller batches", {fmt::format("ubatch={}", ubatch)}));
      settings.back().same_pieces = false;
    }
    SelfSetting single;
    single.name = "one at a time";
    single.changed = "each id an eval of its own";
    single.one_at_a_time = true;
    settings.push_back(single);
  }
  add_attention(info, settings);
  const std::string extra = value_of(info, "extra_bufts");
  settings.push_back(
      other("repacked weights", {extra == "on" ? "extra_bufts=off" : "extra_bufts=on"}));
  return settings;
}

}  // namespace crossval
