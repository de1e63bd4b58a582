// Any bytes as a saved run: its rows and tensors are read, or it is refused.
#include <cstring>

#include "engine/trace_engine.h"
#include "engine/trace_file.h"
#include "engine/trace_taps.h"
#include "support/damage_json.h"
#include "support/temp_dir.h"
#include "target.h"

namespace crossval::fuzz {

// The header, which is JSON behind its length, as JSON mostly.
std::string damaged_run(const std::string& good, size_t header_bytes, uint64_t seed) {
  uint64_t n = 0;
  if (good.size() >= sizeof n) std::memcpy(&n, good.data(), sizeof n);
  if (seed % 4 == 0 || n == 0 || n > good.size() - sizeof n) {
    return testing::damaged_copy(good, header_bytes, seed);
  }
  std::string header = testing::damaged_json_lines(good.substr(sizeof n, n), n, seed);
  if (header.ends_with('\n')) header.pop_back();
  const uint64_t n_now = header.size();
  return std::string(reinterpret_cast<const char*>(&n_now), sizeof n_now) + header +
         good.substr(sizeof n + n);
}

Seed good_input() {
  constexpr int n_vocab = 16;
  const testing::TempDir folder;
  const std::string path = folder.file("seed.safetensors");
  TraceWriter file(path, {{trace_key::kNPrompt, "2"}, {trace_key::kSettings, "{\"a\":\"b\"}"}},
                   n_vocab, 2);
  const std::vector<float> row(n_vocab, 0.5f);
  for (const TokenId id : {3, 4, 5}) file.write_row(id, row);
  file.write_capture("Qcur-0#0", {3, 4}, std::vector<float>(12, 1.0f), "ROPE");
  file.finish();
  std::string bytes = testing::read_text(path);
  const size_t header_bytes = bytes.find("}}") + 2;
  return {std::move(bytes), header_bytes, damaged_run};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  const fuzz::MemoryFile file({data, size});
  fuzz::read_or_refuse([&] {
    TraceEngine engine(file.path());
    const auto& ids = engine.file().tokens();
    engine.reset(static_cast<int>(ids.size()));
    engine.eval(ids);
    std::vector<float> row(static_cast<size_t>(engine.info().n_vocab));
    engine.read_logits(static_cast<int>(engine.file().first_row()), 1, row);
    saved_taps(engine.file());
  });
  return 0;
}
