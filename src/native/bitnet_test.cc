// The architecture `bitnet` on a real I2_S model against what the real bitnet.cpp made of it
// (tests/data/bitnet-i2s): ids in every variant, logits of whole prompts.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "native/native_engine.h"
#include "support/model_edit.h"
#include "support/npy.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using Json = nlohmann::json;

const std::string kData = CROSSVAL_ROOT "/tests/data/bitnet-i2s/";

struct Golden {
  Json prompts = Json::parse(std::ifstream(kData + "prompts.json"))["prompts"];
  // What the engine evaluated: BOS added, special tokens parsed.
  std::vector<TokenId> ids(const std::string& id) const {
    const auto prompt = std::ranges::find_if(prompts, [&](const Json& p) { return p["id"] == id; });
    return prompt->at("tokens").at("add_special=1 parse_special=1").get<std::vector<TokenId>>();
  }
  std::shared_ptr<const ModelFile> model = ModelFile::open(kData + "model.gguf");
  std::shared_ptr<ThreadPool> pool = std::make_shared<ThreadPool>(2);
};

// As the engine ran: f16 cache.
NativeOptions options() { return {Numerics::ggml, KvType::f16, KvType::f16}; }

std::vector<float> logits_of(Engine& engine, const std::vector<TokenId>& ids) {
  engine.reset(static_cast<int>(ids.size()));
  engine.eval(ids);
  std::vector<float> logits(ids.size() * static_cast<size_t>(engine.info().n_vocab));
  engine.read_logits(0, static_cast<int>(ids.size()), logits);
  return logits;
}

struct Distance {
  double relative, cosine;
};

Distance distance(const float* a, const float* b, int64_t n) {
  double aa = 0, bb = 0, ab = 0, dd = 0;
  for (int64_t i = 0; i < n; ++i) {
    aa += double{a[i]} * a[i];
    bb += double{b[i]} * b[i];
    ab += double{a[i]} * b[i];
    dd += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
  }
  return {std::sqrt(dd / bb), ab / std::sqrt(aa * bb)};
}

TEST(Bitnet, IdsAreThoseOfTheRealEngine) {
  const Golden golden;
  NativeEngine engine(golden.model, Tokenizer::from_gguf(*golden.model), options(), golden.pool);
  int n_checked = 0;
  for (const Json& prompt : golden.prompts) {
    for (const bool special : {false, true}) {
      for (const bool parse : {false, true}) {
        const std::string variant =
            "add_special=" + std::to_string(special) + " parse_special=" + std::to_string(parse);
        EXPECT_EQ(
            engine.tokenize(prompt["text"], {special ? BosMode::automatic : BosMode::off, parse}),
            prompt["tokens"][variant].get<std::vector<TokenId>>())
            << prompt["id"] << " " << variant;
        ++n_checked;
      }
    }
  }
  EXPECT_EQ(n_checked, 24);
}

// One flipped rounding of an activation moves every later position to the model's rounding noise
// with nothing in between (a few percent here); up to there only the order of f32 sums differs.
TEST(Bitnet, LogitsAreThoseOfTheRealEngineUpToAFlippedRounding) {
  const Golden golden;
  NativeEngine engine(golden.model, nullptr, options(), golden.pool);
  int64_t n_before = 0, n_after = 0;
  for (const std::string id : {"p00_english", "p02_code", "p05_newlines", "p06_special"}) {
    const auto ids = golden.ids(id);
    const auto want = crossval::testing::read_npy(kData + id + ".logits.npy");
    ASSERT_EQ(want.n_rows(), static_cast<int64_t>(ids.size()));
    const std::vector<float> got = logits_of(engine, ids);
    bool flipped = false;
    for (int64_t p = 0; p < want.n_rows(); ++p) {
      const int64_t at = p * want.row_len();
      const Distance d = distance(got.data() + at, want.values.data() + at, want.row_len());
      flipped = flipped || d.relative >= 1e-5;
      (flipped ? n_after : n_before) += 1;
      EXPECT_GT(d.cosine, 0.99) << id << " " << p;
      if (flipped) {
        EXPECT_GT(d.relative, 1e-3) << "more than flips at " << id << " " << p;
      }
    }
  }
  EXPECT_GT(n_before, n_after);
}

// With a single token the engine rounds what meets f16 weights to f16 as well; native, whose
// results do not depend on the batch, keeps f32 (Arch::f32_beside_f16).
TEST(Bitnet, ASingleTokenDiffersByTheRoundingOfTheOutputMatrixAlone) {
  const Golden golden;
  NativeEngine engine(golden.model, nullptr, options(), golden.pool);
  const auto want = crossval::testing::read_npy(kData + "p03_empty.logits.npy");
  const std::vector<float> got = logits_of(engine, golden.ids("p03_empty"));
  EXPECT_LT(distance(got.data(), want.values.data(), want.row_len()).relative, 5e-4);
}

TEST(Bitnet, ResultsDoNotDependOnHowThePromptIsCut) {
  const Golden golden;
  const auto ids = golden.ids("p00_english");
  for (const Numerics numerics : {Numerics::ggml, Numerics::exact}) {
    NativeEngine engine(golden.model, nullptr, {numerics, KvType::f16, KvType::f16}, golden.pool);
    const std::vector<float> whole = logits_of(engine, ids);
    engine.reset(static_cast<int>(ids.size()));
    std::vector<float> one_by_one(whole.size());
    const auto n_vocab = static_cast<size_t>(engine.info().n_vocab);
    for (size_t p = 0; p < ids.size(); ++p) {
      engine.eval(std::span(&ids[p], 1));
      engine.read_logits(0, 1, std::span(one_by_one).subspan(p * n_vocab, n_vocab));
    }
    EXPECT_EQ(whole, one_by_one);
  }
}

// The golden model, changed, evaluated over the first prompt.
std::vector<float> logits_of_copy(const Golden& golden, Numerics numerics,
                                  const std::function<void(testing::ModelEdit&)>& edit) {
  const testing::TempDir dir;
  testing::ModelEdit copy(kData + "model.gguf");
  edit(copy);
  copy.write(dir.file("copy.gguf"));
  NativeEngine engine(ModelFile::open(dir.file("copy.gguf")), nullptr,
                      {numerics, KvType::f32, KvType::f32}, golden.pool);
  return logits_of(engine, golden.ids("p00_english"));
}

void rename_architecture(testing::ModelEdit& copy, const std::string& name) {
  for (const auto& [key, value] : copy.original().metadata()) {
    if (!key.starts_with("bitnet.")) continue;
    copy.metadata().remove(key);
    copy.metadata().copy(name + key.substr(6), value);
  }
  copy.metadata().set_string("general.architecture", name);
}

void add_scales(testing::ModelEdit& copy, const std::string& matrix, float factor) {
  std::vector<std::byte> bytes(sizeof factor);
  std::memcpy(bytes.data(), &factor, sizeof factor);
  for (int layer = 0; layer < 3; ++layer) {
    copy.add("blk." + std::to_string(layer) + "." + matrix + ".scale", GgmlType::F32, {1}, bytes);
  }
}

double relative_distance(const std::vector<float>& a, const std::vector<float>& b) {
  return distance(a.data(), b.data(), static_cast<int64_t>(a.size())).relative;
}

TEST(Bitnet, ExactNumericsAreThoseOfTheModelDequantised) {
  const Golden golden;
  const auto stored = logits_of_copy(golden, Numerics::exact, [](testing::ModelEdit&) {});
  const auto lifted = logits_of_copy(golden, Numerics::exact, [](testing::ModelEdit& copy) {
    copy.convert_matrices(GgmlType::F32);
  });
  EXPECT_LT(relative_distance(stored, lifted), 1e-5);
}

// relu(4 g)^2 = 16 relu(g)^2, which the norm behind it takes out again; silu has no such symmetry.
TEST(Bitnet, NewerArchitecturesSquareTheRectifiedGate) {
  const Golden golden;
  const auto effect_of_scaled_gate = [&](const std::string& name) {
    const auto rename = [&](testing::ModelEdit& copy) { rename_architecture(copy, name); };
    const auto plain = logits_of_copy(golden, Numerics::exact, rename);
    const auto scaled = logits_of_copy(golden, Numerics::exact, [&](testing::ModelEdit& copy) {
      rename(copy);
      add_scales(copy, "ffn_gate", 4);
    });
    return relative_distance(scaled, plain);
  };
  EXPECT_GT(effect_of_scaled_gate("bitnet"), 1e-2);
  EXPECT_LT(effect_of_scaled_gate("bitnet-25"), 1e-3);
  EXPECT_LT(effect_of_scaled_gate("bitnet-b1.58"), 1e-3);
}

TEST(Bitnet, AScaleTensorDoesWhatTheScaleOfTheMatrixDoes) {
  const Golden golden;
  for (const std::string matrix : {"attn_q", "attn_v", "attn_output", "ffn_up", "ffn_down"}) {
    const auto beside = logits_of_copy(
        golden, Numerics::ggml, [&](testing::ModelEdit& copy) { add_scales(copy, matrix, 2); });
    const auto inside = logits_of_copy(golden, Numerics::ggml, [&](testing::ModelEdit& copy) {
      for (int layer = 0; layer < 3; ++layer) {
        const std::string name = "blk." + std::to_string(layer) + "." + matrix + ".weight";
        const TensorView& tensor = *copy.original().find_tensor(name);
        std::vector<std::byte> bytes(tensor.data.begin(), tensor.data.end());
        const float scale = 2 * weight_view(tensor).tensor_scale;
        std::memcpy(bytes.data() + tensor.n_elements() / 4, &scale, sizeof scale);
        copy.replace(name, tensor.type, tensor.shape, bytes);
      }
    });
    EXPECT_EQ(beside, inside) << matrix;
  }
}

}  // namespace
}  // namespace crossval
