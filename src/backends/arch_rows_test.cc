// Every row of the table of architectures (but those of latent attention), on a tiny
// random model made from the row itself: native computes what the real llama.cpp computes, and the
// same bits however the prompt is cut.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "arch/archs.h"
#include "backends/build_worker.h"
#include "backends/engine_ref.h"
#include "backends/state_dir.h"
#include "native/native_engine.h"
#include "support/arch_model.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

const std::string kEngineDir = std::string(CROSSVAL_ROOT) + "/.cache/engines/llama-v0.5.0";
// Longer than a window.
const std::vector<TokenId> kIds = {5,   80, 120, 7,  200, 33, 12, 25, 91,
                                   121, 90, 91,  14, 61,  62, 3,  99};

std::vector<float> logits_of(Engine& engine, size_t n_at_once) {
  engine.reset(static_cast<int>(kIds.size()));
  const auto n_vocab = static_cast<size_t>(engine.info().n_vocab);
  std::vector<float> out(kIds.size() * n_vocab);
  for (size_t first = 0; first < kIds.size(); first += n_at_once) {
    const size_t n = std::min(n_at_once, kIds.size() - first);
    engine.eval(std::span(kIds).subspan(first, n));
    engine.read_logits(0, static_cast<int>(n),
                       std::span(out).subspan(first * n_vocab, n * n_vocab));
  }
  return out;
}

// Normalised mean squared error.
double nmse(const std::vector<float>& a, const std::vector<float>& b) {
  double error = 0, power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    power += double{b[i]} * b[i];
  }
  return error / power;
}

class ArchRows : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    arch_ = find_arch(GetParam());
    path_ = dir_.file("m.gguf");
    testing::write_arch_model(path_, *arch_);
  }
  NativeEngine native(Numerics numerics) const {
    return NativeEngine(ModelFile::open(path_), nullptr, {numerics, KvType::f32, KvType::f32},
                        std::make_shared<ThreadPool>(1));
  }

  testing::TempDir dir_;
  const Arch* arch_ = nullptr;
  std::string path_;
};

TEST_P(ArchRows, ResultsDoNotDependOnHowThePromptIsCut) {
  if (!arch_->causal) return;  // there tokens see those of their evaluation
  NativeEngine engine = native(Numerics::exact);
  const std::vector<float> whole = logits_of(engine, kIds.size());
  EXPECT_EQ(logits_of(engine, 1), whole);
  EXPECT_EQ(logits_of(engine, 5), whole);
}

TEST_P(ArchRows, NativeComputesWhatLlamaCppComputes) {
  // What is of bitnet.cpp and ik_llama.cpp alone has its own tests.
  if (arch_->weight_scales && arch_->name != "bitnet") return;
  if (arch_->name == "qwen3tts") return;  // llama.cpp takes it with a vocabulary of 3072 alone
  if (!std::filesystem::exists(kEngineDir + "/VERSION")) {
    GTEST_SKIP() << "needs " << kEngineDir << ", which `make engines` brings";
  }
  setenv("LLAMA_CPP_DIR", kEngineDir.c_str(), 1);
  setup_backend({.backend = "llama",
                 .dir = kEngineDir,
                 .include_dir = "",
                 .remember = false,
                 .on_progress = {}});
  std::map<std::string, std::string> settings = {{"kv_type", "f32"}};
  // llama.cpp chooses blocks with flash attention alone (minimax-m3.cpp).
  const Indexer* indexer = arch_->find_indexer();
  const bool is_flash = indexer != nullptr && indexer->kind == Indexer::Kind::best_block;
  if (is_flash) settings["flash_attn"] = "on";
  const auto engine = open_engine(find_engine("llama", "--backend"), {.model = path_,
                                                                      .n_threads = 1,
                                                                      .settings = settings,
                                                                      .timeout_ms = 120'000,
                                                                      .on_message = {}});
  unsetenv("LLAMA_CPP_DIR");
  const std::vector<float> theirs = logits_of(*engine, kIds.size());
  // On weights in F32 `ggml` differs from `exact` in nothing but gelu, which ggml reads from a
  // table.
  NativeEngine ours = native(Numerics::ggml);
  // Flash attention rounds through half floats: of a plain Llama 6e-7.
  EXPECT_LT(nmse(logits_of(ours, kIds.size()), theirs), is_flash ? 2e-7 : 1e-8);
}

std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const Arch& arch : all_archs()) names.emplace_back(arch.name);
  return names;
}

INSTANTIATE_TEST_SUITE_P(Table, ArchRows, ::testing::ValuesIn(all_names()),
                         [](const ::testing::TestParamInfo<std::string>& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace crossval
