#include "backends/probe_worker.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "backends/probe_model.h"
#include "backends/worker_rights.h"
#include "base/error.h"

namespace fs = std::filesystem;

namespace crossval {
namespace {

// Python reads some thousand files before it loads a model.
constexpr int kProbeTimeoutMs = 60'000, kPythonProbeTimeoutMs = 300'000;

// Nobody else's, and gone at the end.
class PrivateFolder {
 public:
  PrivateFolder() {
    std::error_code failed;
    std::string pattern = (fs::temp_directory_path(failed) / "crossval-XXXXXX").string();
    if (failed || ::mkdtemp(pattern.data()) == nullptr) {
      bad_input("no_temporary_folder",
                "no folder can be made for temporary files: " +
                    (failed ? failed.message() : std::string(std::strerror(errno))),
                "TMPDIR", "set TMPDIR to a folder that is there and may be written");
    }
    path_ = pattern;
  }
  ~PrivateFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

}  // namespace

ProbedEngine probe_worker(const Backend& spec, const std::vector<std::string>& argv,
                          const std::vector<std::string>& engine_dirs) {
  const PrivateFolder folder;
  const fs::path model = folder.path() / "probe.gguf";
  write_probe_model(model.string());
  WorkerEngine engine(
      {.argv = argv,
       .name = spec.display_name.empty() ? argv.front() : std::string(spec.display_name),
       .timeout_ms = spec.python() != nullptr ? kPythonProbeTimeoutMs : kProbeTimeoutMs,
       .on_message = {},
       .cover = cover_worker(
           Sandbox::automatic,
           {.argv = argv, .engine_dirs = engine_dirs, .model = model.string(), .write = {}})});
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
