#include "run/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "base/error.h"

namespace crossval {

int CommonOptions::threads() const {
  if (n_threads > 0) return n_threads;
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

MetricSet metric_set(const std::vector<std::string>& names) {
  return names.empty() ? all_metrics() : parse_metrics(fmt::format("{}", fmt::join(names, ",")));
}

std::map<std::string, std::string> engine_settings(const std::vector<std::string>& opts) {
  std::map<std::string, std::string> settings;
  for (const std::string& opt : opts) {
    const size_t equals = opt.find('=');
    if (equals == std::string::npos || equals == 0) {
      bad_input("bad_backend_opt", fmt::format("'{}' is not of the form K=V", opt), "--backend-opt",
                "write --backend-opt flash_attn=on");
    }
    settings[opt.substr(0, equals)] = opt.substr(equals + 1);
  }
  return settings;
}

}  // namespace crossval
