#include "backends/probe_worker.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "backends/probe_model.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

constexpr int kProbeTimeoutMs = 60'000;

}  // namespace

ProbedEngine probe_worker(const Backend& spec, const std::vector<std::string>& argv) {
  const fs::path model =
      fs::temp_directory_path() / ("crossval-probe-" + std::to_string(::getpid()) + ".gguf");
  write_probe_model(model.string());
  struct Remove {
    fs::path path;
    ~Remove() {
      std::error_code ignored;
      fs::remove(path, ignored);
    }
  } const remove_model{model};
  WorkerEngine engine(
      {.argv = argv,
       .name = spec.display_name.empty() ? argv.front() : std::string(spec.display_name),
       .timeout_ms = kProbeTimeoutMs,
       .on_message = {}});
  engine.load(model.string(), 1, {});
  const std::vector<TokenId> ids = {1, 7, 3, 5};
  engine.reset(static_cast<int>(ids.size()));
  engine.eval(ids);
  const auto n_vocab = static_cast<size_t>(engine.info().n_vocab);
  std::vector<float> logits(ids.size() * n_vocab);
  engine.read_logits(0, static_cast<int>(ids.size()), logits);
  const auto [low, high] = std::minmax_element(logits.begin(), logits.end());
  const bool finite =
      std::all_of(logits.begin(), logits.end(), [](float x) { return std::isfinite(x); });
  if (n_vocab != kProbeModelVocab || !finite || *low == *high) {
    backend_failed("probe_failed",
                   "the engine loads, but its logits of a tiny model are not usable", argv.front(),
                   "use another build of it");
  }
  return {engine.hello(), engine.info()};
}

}  // namespace crossval
