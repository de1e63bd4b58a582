// Any JSON as config.json and tokenizer files beside sound weights: the GGUF is held against it, or
// it is refused. The weights' own header is trace_fuzz's.
#include <nlohmann/json.hpp>

#include "base/json_depth.h"
#include "conversion/check_conversion.h"
#include "support/damage_json.h"
#include "support/temp_dir.h"
#include "support/tiny_checkpoint.h"
#include "support/tiny_model.h"
#include "target.h"

namespace crossval::fuzz {

constexpr const char* kFiles[] = {"config.json", "tokenizer.json", "tokenizer_config.json"};

// A model and its checkpoint, made once.
const testing::TempDir& folder() {
  static const testing::TempDir dir;
  static const bool is_made = [] {
    testing::write_tiny_model(dir.file("model.gguf"), {.n_layers = 1});
    testing::write_tiny_checkpoint(dir.file("model.gguf"), dir.path(),
                                   {.chat_template = "{{ messages }}"});
    return true;
  }();
  (void)is_made;
  return dir;
}

std::string damaged_files(const std::string& good, size_t header_bytes, uint64_t seed) {
  return testing::damaged_json_lines(good, header_bytes, seed);
}

Seed good_input() {
  nlohmann::json all = nlohmann::json::object();
  for (const char* name : kFiles) {
    all[name] = nlohmann::json::parse(testing::read_text(folder().file(name)));
  }
  std::string text = all.dump() + "\n";
  const size_t n = text.size();
  return {std::move(text), n, damaged_files};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const testing::TempDir& dir = fuzz::folder();
  const nlohmann::json all = nests_too_deep(text)
                                 ? nlohmann::json()
                                 : nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  for (const char* name : fuzz::kFiles) {
    const bool has = all.is_object() && all.contains(name);
    testing::write_text(
        dir.file(name),
        has ? all[name].dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) : text);
  }
  fuzz::read_or_refuse([&] {
    const ConversionReport report = check_conversion(
        {.model = dir.file("model.gguf"), .checkpoint = dir.path(), .n_threads = 1, .tell = {}});
    if (report.error && report.status == Status::agree) std::abort();
  });
  return 0;
}
