// What native shows of a run, and that showing it changes nothing.
#include "native/tap_writer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "native/native_engine.h"
#include "support/npy.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

const std::vector<TokenId> kIds = {5, 9, 2, 14, 7};

NativeEngine engine_of(const std::string& path, NativeOptions options = {}) {
  return {ModelFile::open(path), nullptr, options, std::make_shared<ThreadPool>(2)};
}

std::vector<Tap> taps_of(Engine& engine, std::span<const TokenId> ids, const TapFilter& filter) {
  std::vector<Tap> taps;
  engine.eval_with_taps(ids, filter, [&](Tap&& tap) { taps.push_back(std::move(tap)); });
  return taps;
}

std::vector<float> logits_of(Engine& engine) {
  std::vector<float> logits(kIds.size() * static_cast<size_t>(engine.info().n_vocab));
  engine.read_logits(0, static_cast<int>(kIds.size()), logits);
  return logits;
}

std::vector<float> values_of(const Tap& tap) {
  std::vector<float> values(tap.out.data.size() / sizeof(float));
  std::memcpy(values.data(), tap.out.data.data(), tap.out.data.size());
  return values;
}

class NativeTaps : public ::testing::Test {
 protected:
  NativeTaps() { testing::write_tiny_model(path_); }
  testing::TempDir dir_;
  std::string path_ = dir_.file("tiny.gguf");
};

TEST_F(NativeTaps, ChangeNoLogit) {
  for (const Numerics numerics : {Numerics::ggml, Numerics::exact}) {
    NativeEngine engine = engine_of(path_, {.numerics = numerics});
    engine.reset(5);
    engine.eval(kIds);
    const std::vector<float> plain = logits_of(engine);
    engine.reset(5);
    EXPECT_FALSE(taps_of(engine, kIds, {}).empty());
    EXPECT_EQ(plain, logits_of(engine));
  }
}

TEST_F(NativeTaps, HaveTheNamesShapesAndOrderOfLlamaCpp) {
  NativeEngine engine = engine_of(path_);
  engine.reset(5);
  std::string seen;
  for (const Tap& tap : taps_of(engine, kIds, {})) {
    EXPECT_EQ(tap.out.data.size(), static_cast<size_t>(tap.out.n_elements()) * sizeof(float));
    EXPECT_EQ(tap.first_position, 0);
    if (tap.layer == 1) continue;
    seen +=
        fmt::format("{}#{} {} {}\n", tap.name, tap.occurrence, tap.op, fmt::join(tap.out.ne, " "));
  }
  EXPECT_EQ(seen,
            "embd#0 GET_ROWS 64 5 1 1\n"
            "attn_norm-0#0 MUL 64 5 1 1\n"
            "Qcur-0#0 MUL_MAT 64 5 1 1\n"
            "Kcur-0#0 MUL_MAT 32 5 1 1\n"
            "Vcur-0#0 MUL_MAT 32 5 1 1\n"
            "Qcur-0#1 ROPE 16 4 5 1\n"
            "Kcur-0#1 ROPE 16 2 5 1\n"
            "kqv_out-0#0 CONT 64 5 1 1\n"
            "attn_out-0#0 MUL_MAT 64 5 1 1\n"
            "ffn_inp-0#0 ADD 64 5 1 1\n"
            "ffn_norm-0#0 MUL 64 5 1 1\n"
            "ffn_gate-0#0 MUL_MAT 96 5 1 1\n"
            "ffn_up-0#0 MUL_MAT 96 5 1 1\n"
            "ffn_swiglu-0#0 SWIGLU 96 5 1 1\n"
            "ffn_out-0#0 MUL_MAT 64 5 1 1\n"
            "l_out-0#0 ADD 64 5 1 1\n"
            "result_norm#0 MUL 64 5 1 1\n");
}

TEST_F(NativeTaps, OfTheOutputMatrixAreTheLogitsAndComeWhenNamed) {
  NativeEngine engine = engine_of(path_);
  engine.reset(5);
  const auto taps = taps_of(engine, kIds, {.name_regex = "result_output"});
  ASSERT_EQ(taps.size(), 1u);
  EXPECT_EQ(values_of(taps[0]), logits_of(engine));
}

TEST_F(NativeTaps, OfACutPromptAreTheRowsOfTheWhole) {
  NativeEngine engine = engine_of(path_);
  const TapFilter filter{.name_regex = "l_out-1|Kcur-1"};
  engine.reset(5);
  const auto whole = taps_of(engine, kIds, filter);
  engine.reset(5);
  auto first = taps_of(engine, std::span(kIds).first(2), filter);
  const auto second = taps_of(engine, std::span(kIds).subspan(2), filter);
  ASSERT_EQ(whole.size(), 3u);
  ASSERT_EQ(second.size(), 3u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(second[i].first_position, 2);
    EXPECT_EQ(second[i].occurrence, whole[i].occurrence);
    std::vector<std::byte>& bytes = first[i].out.data.own();
    bytes.insert(bytes.end(), second[i].out.data.begin(), second[i].out.data.end());
    EXPECT_TRUE(std::ranges::equal(bytes, whole[i].out.data)) << whole[i].name;
  }
}

TEST_F(NativeTaps, ASinkThatThrowsEndsTheEvalAndAResetMendsIt) {
  NativeEngine engine = engine_of(path_);
  engine.reset(5);
  engine.eval(kIds);
  const std::vector<float> plain = logits_of(engine);
  engine.reset(5);
  EXPECT_THROW(engine.eval_with_taps(kIds, {}, [](Tap&&) { throw std::runtime_error("enough"); }),
               std::runtime_error);
  engine.reset(5);
  engine.eval(kIds);  // nobody watches any more
  EXPECT_EQ(plain, logits_of(engine));
}

// The real bitnet.cpp's tensors, layer 0. It calls attn_out attn_o_out.
TEST(NativeTapsOfBitnet, AreThoseOfTheRealEngine) {
  const std::string data = CROSSVAL_ROOT "/tests/data/bitnet-i2s/";
  const auto prompts = nlohmann::json::parse(std::ifstream(data + "prompts.json"))["prompts"];
  ASSERT_EQ(prompts[0]["id"], "p00_english");
  const auto ids =
      prompts[0]["tokens"]["add_special=1 parse_special=1"].get<std::vector<TokenId>>();
  NativeEngine engine = engine_of(data + "model.gguf", {Numerics::ggml, KvType::f16, KvType::f16});
  engine.reset(static_cast<int>(ids.size()));
  int n_compared = 0;
  for (const Tap& tap : taps_of(engine, ids, {.last_layer = 0})) {
    std::string name = tap.name == "attn_out-0" ? "attn_o_out-0" : tap.name;
    const std::string path = std::string(data).append("p00_english/").append(name).append(".npy");
    if (tap.op == "ROPE" || !std::filesystem::exists(path)) continue;
    const auto want = testing::read_npy(path);
    const std::vector<float> got = values_of(tap);
    ASSERT_EQ(got.size(), want.values.size()) << name;
    double dd = 0, bb = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      dd += (double{got[i]} - want.values[i]) * (double{got[i]} - want.values[i]);
      bb += double{want.values[i]} * want.values[i];
    }
    EXPECT_LT(std::sqrt(dd / bb), 1e-6) << name;
    ++n_compared;
  }
  EXPECT_EQ(n_compared, 11);
}

}  // namespace
}  // namespace crossval
