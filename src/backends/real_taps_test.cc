// Tensors of the real engines' graphs: what is captured is what was computed, and capturing it
// changes nothing. Skipped where scripts/fetch_engines.sh was not run.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>

#include "backends/build_worker.h"
#include "backends/engine_ref.h"
#include "base/error.h"

namespace crossval {
namespace {

const std::string kCache = std::string(CROSSVAL_ROOT) + "/.cache";
const std::string kModel = kCache + "/models/SmolLM2-135M-Instruct.Q4_1.gguf";
constexpr int kNVocab = 49152;
const std::vector<TokenId> kIds = {504, 3575, 282, 4649, 314, 260, 1234, 17, 99, 2000, 31, 4};

class RealTaps : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    dir_ = kCache + "/engines/llama-" + GetParam();
    if (!std::filesystem::exists(dir_ + "/VERSION") || !std::filesystem::exists(kModel)) {
      GTEST_SKIP() << "run scripts/fetch_models.sh and scripts/fetch_engines.sh";
    }
    setenv("LLAMA_CPP_DIR", dir_.c_str(), 1);
    setup_backend(
        {.backend = "llama", .dir = dir_, .include_dir = "", .remember = false, .on_progress = {}});
    engine_ = open_engine(
        find_engine("llama", "--backend"),
        {.model = kModel, .n_threads = 1, .settings = {}, .timeout_ms = 120'000, .on_message = {}});
  }
  void TearDown() override { unsetenv("LLAMA_CPP_DIR"); }

  std::vector<float> logits() {
    std::vector<float> out(kIds.size() * kNVocab);
    engine_->read_logits(0, static_cast<int>(kIds.size()), out);
    return out;
  }

  std::string dir_;
  std::unique_ptr<Engine> engine_;
};

float f32_at(const TapTensor& tensor, int64_t i) {
  float value = 0;
  std::memcpy(&value, tensor.data.data() + static_cast<size_t>(i) * 4, 4);
  return value;
}

TEST_P(RealTaps, CapturingChangesNoLogit) {
  engine_->reset(static_cast<int>(kIds.size()));
  engine_->eval(kIds);
  const std::vector<float> plain = logits();
  engine_->reset(static_cast<int>(kIds.size()));
  int n_taps = 0;
  std::vector<float> last;
  engine_->eval_with_taps(kIds, {}, [&](Tap&& tap) {
    ++n_taps;
    if (tap.name != "result_output") return;
    last.resize(static_cast<size_t>(tap.out.n_elements()));
    std::memcpy(last.data(), tap.out.data.data(), tap.out.data.size());
  });
  const std::vector<float> tapped = logits();
  EXPECT_GT(n_taps, 30 * 15);
  EXPECT_EQ(0, std::memcmp(plain.data(), tapped.data(), plain.size() * sizeof(float)));
  ASSERT_EQ(last.size(), tapped.size());
  EXPECT_EQ(0, std::memcmp(last.data(), tapped.data(), last.size() * sizeof(float)));
}

TEST_P(RealTaps, SourcesAreWhatTheOperationRead) {
  engine_->reset(static_cast<int>(kIds.size()));
  int n_adds = 0, n_norms = 0, n_weights = 0;
  std::map<std::string, int> seen;
  engine_->eval_with_taps(kIds, {}, [&](Tap&& tap) {
    EXPECT_EQ(tap.occurrence, seen[tap.name]++);
    for (const TapTensor& source : tap.sources) n_weights += source.is_weight;
    // These run in place in ggml: their first input is overwritten by the result.
    if (tap.op == "ADD" && !tap.sources[1].is_weight) {
      ++n_adds;
      for (int64_t i = 0; i < tap.out.n_elements(); ++i) {
        ASSERT_EQ(f32_at(tap.out, i), f32_at(tap.sources[0], i) + f32_at(tap.sources[1], i))
            << tap.name << " " << i;
      }
    }
    if (tap.op == "RMS_NORM") {
      ++n_norms;
      const int64_t n = tap.out.ne[0];
      double squares = 0;
      for (int64_t i = 0; i < n; ++i) {
        squares += double{f32_at(tap.sources[0], i)} * f32_at(tap.sources[0], i);
      }
      const double scale = 1 / std::sqrt(squares / static_cast<double>(n) + 1e-5);
      for (int64_t i = 0; i < n; ++i) {
        ASSERT_NEAR(f32_at(tap.out, i), f32_at(tap.sources[0], i) * scale, 1e-4) << tap.name;
      }
    }
  });
  EXPECT_EQ(n_adds, 60);
  EXPECT_EQ(n_norms, 61);
  EXPECT_GE(n_weights, 30 * 9 + 3);
}

TEST_P(RealTaps, FilterNarrows) {
  engine_->reset(static_cast<int>(kIds.size()));
  std::vector<std::string> names;
  engine_->eval_with_taps(kIds, {.name_regex = "^(Q|V)cur", .first_layer = 3, .last_layer = 4},
                          [&](Tap&& tap) { names.push_back(tap.name + " " + tap.op); });
  EXPECT_EQ(names, (std::vector<std::string>{"Qcur-3 MUL_MAT", "Qcur-3 ROPE", "Vcur-3 MUL_MAT",
                                             "Qcur-4 MUL_MAT", "Qcur-4 ROPE", "Vcur-4 MUL_MAT"}));
}

TEST_P(RealTaps, BeginAtTheFirstEvalOrNotAtAll) {
  engine_->reset(static_cast<int>(kIds.size()) + 1);
  engine_->eval(std::span(kIds).first(1));
  EXPECT_THROW(engine_->eval_with_taps(std::span(kIds).subspan(1), {}, [](Tap&&) {}), Error);
  engine_->reset(static_cast<int>(kIds.size()) + 1);
  engine_->eval_with_taps(kIds, {}, [](Tap&&) {});
  int first_position = 0;
  engine_->eval_with_taps(std::span(kIds).first(1), {},
                          [&](Tap&& tap) { first_position = tap.first_position; });
  EXPECT_EQ(first_position, static_cast<int>(kIds.size()));
}

INSTANTIATE_TEST_SUITE_P(Engines, RealTaps, ::testing::Values("v0.5.0", "b3889"),
                         [](const auto& info) {
                           return std::string(info.param) == "b3889" ? "b3889" : "v0_5_0";
                         });

}  // namespace
}  // namespace crossval
