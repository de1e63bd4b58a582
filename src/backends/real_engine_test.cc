// The real engines that scripts/fetch_engines.sh brings, over SmolLM2: llama.cpp v0.5.0 and b3889
// (the API of bitnet.cpp). Skipped where they were not brought.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "backends/build_worker.h"
#include "backends/engine_ref.h"
#include "backends/state_dir.h"
#include "base/error.h"
#include "support/temp_dir.h"
#include "worker/worker_engine.h"

namespace crossval {
namespace {

namespace fs = std::filesystem;

const std::string kCache = std::string(CROSSVAL_ROOT) + "/.cache";
const std::string kModel = kCache + "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr int kNVocab = 49152;

class RealEngine : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    dir_ = kCache + "/engines/llama-" + GetParam();
    if (!fs::exists(dir_ + "/VERSION") || !fs::exists(kModel)) {
      GTEST_SKIP() << "run scripts/fetch_models.sh and scripts/fetch_engines.sh";
    }
    setenv("LLAMA_CPP_DIR", dir_.c_str(), 1);
    setup_backend(
        {.backend = "llama", .dir = dir_, .include_dir = "", .remember = false, .on_progress = {}});
  }
  void TearDown() override { unsetenv("LLAMA_CPP_DIR"); }

  std::unique_ptr<Engine> open(std::map<std::string, std::string> settings = {},
                               const std::string& path = kModel, int n_threads = 1) {
    return open_engine(find_engine("llama", "--backend"), {.model = path,
                                                           .n_threads = n_threads,
                                                           .settings = std::move(settings),
                                                           .timeout_ms = 120'000,
                                                           .on_message = {}});
  }

  bool is_old() const { return std::string(GetParam()) == "b3889"; }
  std::string dir_;
};

std::vector<float> logits_of(Engine& engine, std::span<const TokenId> ids) {
  engine.eval(ids);
  std::vector<float> out(ids.size() * kNVocab);
  engine.read_logits(0, static_cast<int>(ids.size()), out);
  return out;
}

double nmse(std::span<const float> a, std::span<const float> b) {
  double error = 0, power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    error += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    power += double{a[i]} * a[i];
  }
  return error / power;
}

Error error_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error";
  return Error(Status::agree, "", "", "", "");
}

TEST_P(RealEngine, SaysWhatItIs) {
  const auto engine = open();
  engine->reset(16);
  const EngineInfo& info = engine->info();
  EXPECT_EQ(info.name, "llama.cpp");
  EXPECT_NE(info.version.find(is_old() ? "b3889" : "0.5.0"), std::string::npos) << info.version;
  EXPECT_TRUE(info.library.starts_with(fs::canonical(dir_).string())) << info.library;
  EXPECT_EQ(info.n_vocab, kNVocab);
  EXPECT_EQ(info.n_ctx_train, 8192);
  EXPECT_EQ(info.n_threads, 1);
  EXPECT_EQ(info.settings.at("flash_attn"), "off");
  EXPECT_EQ(info.settings.at("kv_type_k"), "f32");
  EXPECT_EQ(info.settings.at("kv_type_v"), is_old() ? "f16" : "f32");
  EXPECT_EQ(info.settings.at("extra_bufts"), is_old() ? "unavailable" : "off");
  EXPECT_NE(info.settings.at("system_info").find("AVX"), std::string::npos);
  EXPECT_GT(engine->peak_rss_bytes(), 50 << 20);
}

TEST_P(RealEngine, TokenizesAndGivesPieces) {
  const auto engine = open();
  const std::string text = "Hello <|im_start|>world \xe4\xbd\xa0\xe5\xa5\xbd\n\n  x";
  const auto ids = engine->tokenize(text, {});
  std::string joined;
  for (const TokenId id : ids) {
    joined += engine->piece(id);
  }
  EXPECT_EQ(joined, text);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 1), 1);  // <|im_start|>
  const auto as_text = engine->tokenize(text, {.bos = BosMode::automatic, .parse_special = false});
  EXPECT_EQ(std::count(as_text.begin(), as_text.end(), 1), 0);
  // SmolLM2 adds no BOS by itself; its BOS is <|im_start|>.
  auto with_bos = engine->tokenize("x", {.bos = BosMode::on});
  EXPECT_EQ(with_bos.front(), 1);
  EXPECT_EQ(engine->tokenize("x", {.bos = BosMode::off}).size() + 1, with_bos.size());
  EXPECT_TRUE(engine->tokenize("", {}).empty());
  EXPECT_EQ(engine->piece(kNVocab + 5), "");
  // Long enough for every buffer to grow.
  std::string book;
  for (int i = 0; i < 20'000; ++i) {
    book += "word" + std::to_string(i) + " ";
  }
  EXPECT_GT(engine->tokenize(book, {}).size(), 20'000u);
}

TEST_P(RealEngine, AllPositionsWholeOrInPieces) {
  const auto engine = open();
  auto ids =
      engine->tokenize("The quick brown fox jumps over the lazy dog, and then it rests.", {});
  engine->reset(static_cast<int>(ids.size()) + 4);
  const auto whole = logits_of(*engine, ids);
  EXPECT_TRUE(std::all_of(whole.begin(), whole.end(), [](float x) { return std::isfinite(x); }));

  // Rows in pieces are the same bytes as rows at once.
  engine->reset(static_cast<int>(ids.size()) + 4);
  engine->eval(ids);
  std::vector<float> rows(3 * kNVocab);
  engine->read_logits(2, 3, rows);
  EXPECT_EQ(std::memcmp(rows.data(), whole.data() + 2 * kNVocab, rows.size() * sizeof(float)), 0);
  engine->read_logits(6, 1, std::span(rows).first(kNVocab));
  EXPECT_EQ(std::memcmp(rows.data(), whole.data() + 6 * kNVocab, kNVocab * sizeof(float)), 0);

  // One id at a time gives the same model: other kernels may serve one row, so near, not equal.
  engine->reset(static_cast<int>(ids.size()) + 4);
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto row = logits_of(*engine, std::span(ids).subspan(i, 1));
    EXPECT_LT(nmse(std::span(whole).subspan(i * kNVocab, kNVocab), row), 3e-2) << i;
  }
  EXPECT_GT(engine->timing().prompt_eval_ms, 0);
  EXPECT_GT(engine->timing().decode_ms, 0);
}

TEST_P(RealEngine, SettingsTakeEffect) {
  const auto plain = open();
  const auto ids = plain->tokenize("Settings must really reach the engine.", {});
  plain->reset(32);
  const auto expected = logits_of(*plain, ids);
  for (const auto& [key, value] : std::map<std::string, std::string>{
           {"flash_attn", "on"}, {"kv_type_k", "f16"}, {"rope_freq_scale", "0.5"}}) {
    auto settings = std::map<std::string, std::string>{{key, value}};
    if (key == "flash_attn") {
      settings["kv_type"] = "f16";
    }
    const auto changed = open(settings);
    changed->reset(32);
    EXPECT_GT(nmse(expected, logits_of(*changed, ids)), 0) << key;
    if (key != "rope_freq_scale") {
      EXPECT_EQ(changed->info().settings.at(key), value);
    }
  }
  const auto small = open({{"ubatch", "4"}});
  small->reset(32);
  EXPECT_EQ(small->info().settings.at("ubatch"), "4");
  EXPECT_LT(nmse(expected, logits_of(*small, ids)), 3e-2);
  // Threads change nothing.
  const auto two = open({}, kModel, 2);
  two->reset(32);
  EXPECT_EQ(logits_of(*two, ids), expected);

  EXPECT_EQ(error_of([&] { open({{"no_such", "1"}}); }).code, "unknown_setting");
  EXPECT_EQ(error_of([&] { open({{"kv_type", "q99"}}); }).code, "bad_setting");
  EXPECT_EQ(error_of([&] { open({{"flash_attn", "maybe"}}); }).status, Status::bad_input);
}

TEST_P(RealEngine, RefusalsAreErrorsAndTheWorkerLivesOn) {
  const auto engine = open({{"n_ctx", "8"}});
  EXPECT_EQ(error_of([&] { engine->reset(9); }).code, "prompt_too_long");
  engine->reset(4);
  EXPECT_EQ(error_of([&] {
              engine->eval(std::vector<TokenId>{1, kNVocab});
            }).code,
            "token_out_of_range");
  EXPECT_EQ(error_of([&] { engine->eval(std::vector<TokenId>{-1}); }).code, "token_out_of_range");
  EXPECT_EQ(error_of([&] { engine->eval(std::vector<TokenId>(9, 1)); }).code, "prompt_too_long");
  logits_of(*engine, std::vector<TokenId>{1, 2});

  const testing::TempDir dir;
  testing::write_text(dir.file("bad.gguf"), "GGUF and then nothing");
  const Error refused = error_of([&] { open({}, dir.file("bad.gguf")); });
  EXPECT_EQ(refused.status, Status::backend_failed);
  EXPECT_EQ(refused.code, "model_refused") << refused.what_;
}

TEST_P(RealEngine, KilledInTheMiddleOfAnEval) {
  const auto engine = open();
  std::vector<TokenId> ids(2000, 100);
  engine->reset(2000);
  auto& worker = dynamic_cast<WorkerEngine&>(*engine);
  std::thread killer([pid = worker.pid()] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    kill(pid, SIGKILL);
  });
  const Error error = error_of([&] { engine->eval(ids); });
  killer.join();
  EXPECT_EQ(error.code, "worker_crashed");
  EXPECT_NE(error.what_.find("SIGKILL"), std::string::npos);
  EXPECT_NE(error.what_.find("eval of 2000 ids"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Releases, RealEngine, ::testing::Values("v0.5.0", "b3889"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::erase(name, '.');
                           return name;
                         });

}  // namespace
}  // namespace crossval
