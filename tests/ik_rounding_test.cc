// The real ik_llama.cpp rounds weights anew when it meets many ids, each type in its own way, and
// an expert's by how many come to that expert: `trace` computes the same, to the last f32 addition.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/random_blocks.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

const std::string ik = root + "/.cache/engines/ik";

nlohmann::json trace(const std::string& model, int n_ids) {
  std::string ids = "5";
  for (int i = 1; i < n_ids; ++i) ids += "," + std::to_string(5 + i * 37 % 200);
  const CrossvalResult result =
      run_crossval(CROSSVAL_BIN, {"trace", "--model", model, "--tokens", ids, "--backend", "ik"},
                   {.env = {{"IK_LLAMA_CPP_DIR", ik}}});
  EXPECT_TRUE(result.run.exit_code == 0 || result.run.exit_code == 1) << result.run.err;
  return result.json();
}

nlohmann::json find_tap(const nlohmann::json& found, const std::string& tensor,
                        const std::string& op) {
  for (const auto& tap : found["taps"]) {
    if (tap["tensor"] == tensor && tap["op"] == op) return tap;
  }
  ADD_FAILURE() << "no " << tensor << ' ' << op;
  return {};
}

class OneProduct {
 public:
  // A model whose first queries come of weights of this type.
  explicit OneProduct(const char* name) {
    write_tiny_model(dir_.file("f32.gguf"), {.n_embd = 256, .n_ff = 512});
    const TypeInfo& type = *find_type_by_name(name);
    ModelEdit edit(dir_.file("f32.gguf"));
    const std::vector<int64_t> shape = edit.shape("blk.0.attn_q.weight");
    edit.replace("blk.0.attn_q.weight", type.type, shape, random_blocks(type, shape[0] * shape[1]));
    edit.write(path());
  }
  std::string path() const { return dir_.file("m.gguf"); }
  nlohmann::json tap(int n_ids) const {
    return find_tap(trace(path(), n_ids), "Qcur-0", "MUL_MAT");
  }

 private:
  TempDir dir_;
};

// (Its products of few ids with IQ3_XXS and IQ4_XS are wrong: tests/realbugs.)
TEST(IkRounding, IsRecomputedForEachType) {
  SKIP_WITHOUT(ik);
  const struct {
    const char* type;
    int n_ids;
    const char* arithmetic;
  } rows[] = {
      {"Q2_K", 31, "q8_K"},
      {"Q3_K", 31, "q8_K"},
      {"Q6_K", 63, "q8_2"},
      {"Q4_K", 32, "q8_2, f16 scales"},
      {"Q5_K", 32, "q8_2, f16 scales"},
      {"Q6_K", 64, "q8_2, 8-bit weights"},
      {"Q2_K", 32, "q8_K, 8-bit weights"},
      {"Q3_K", 32, "q8_K, 8-bit weights"},
      {"IQ4_XS", 32, "q8_K, 8-bit weights"},
      {"IQ1_S", 41, "q8_K, 8-bit weights"},
      {"IQ1_M", 41, "q8_K, 8-bit weights"},
      {"IQ2_XXS", 41, "q8_K, 8-bit weights"},
      {"IQ2_XS", 41, "q8_K, 8-bit weights"},
      {"IQ2_S", 16, "q8_K, 8-bit weights"},
      {"IQ3_XXS", 41, "q8_K, 8-bit weights"},
      {"IQ3_S", 41, "q8_K, 8-bit weights"},
  };
  for (const auto& row : rows) {
    const nlohmann::json product = OneProduct(row.type).tap(row.n_ids);
    EXPECT_EQ(product["arithmetic"], row.arithmetic) << row.type << ' ' << row.n_ids;
    EXPECT_EQ(product["verdict"], "ok") << row.type << ' ' << row.n_ids;
    EXPECT_LT(product["ratio"], 0.5) << row.type << ' ' << row.n_ids;
  }
}

// Without AVX-512 its kernel for few ids adds two products in 16 bits.
TEST(IkRounding, SumsThatSaturateAreACauseOfTheirOwn) {
  SKIP_WITHOUT(ik);
  const nlohmann::json first = trace(OneProduct("IQ4_XS").path(), 12)["first_divergence"];
  if (first.is_null()) GTEST_SKIP() << "this ik_llama.cpp has the kernel for AVX-512";
  EXPECT_EQ(first["tensor"], "Qcur-0") << first;
  EXPECT_EQ(first["cause"], "int16_overflow") << first;
  EXPECT_NE(first["explanation"].get<std::string>().find("saturate"), std::string::npos) << first;
}

// Experts in place of the feed-forward part: 4, of which 2 are used, so that of 64 ids some meet
// more than 32 and others fewer.
void write_mixture(const std::string& path, GgmlType kind) {
  constexpr int64_t width = 256, n_experts = 4;
  write_tiny_model(path, {.n_embd = width, .n_ff = width});
  ModelEdit edit(path);
  const TypeInfo& type = *find_type(static_cast<uint32_t>(kind));
  const auto floats = [&](int64_t n, float deviation) {
    std::mt19937 random(9);
    std::normal_distribution<float> normal(0, deviation);
    std::vector<std::byte> bytes(static_cast<size_t>(n) * sizeof(float));
    for (int64_t i = 0; i < n; ++i) {
      const float value = normal(random);
      std::memcpy(bytes.data() + i * int64_t{sizeof value}, &value, sizeof value);
    }
    return bytes;
  };
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    for (const std::string part : {"ffn_gate", "ffn_up", "ffn_down"}) {
      const int64_t n = width * width * n_experts;
      edit.remove(layer + part + ".weight");
      edit.add(layer + part + "_exps.weight", kind, {width, width, n_experts},
               random_blocks(type, n));
    }
    edit.add(layer + "ffn_gate_inp.weight", GgmlType::F32, {width, n_experts},
             floats(width * n_experts, 0.2f));
  }
  edit.metadata().set_u32("llama.expert_count", n_experts);
  edit.metadata().set_u32("llama.expert_used_count", 2);
  edit.write(path);
}

TEST(IkRounding, OfAnExpertGoesByItsOwnIds) {
  SKIP_WITHOUT(ik);
  TempDir dir;
  const std::string model = dir.file("mixture.gguf");
  for (const GgmlType type : {GgmlType::Q2_K, GgmlType::Q3_K, GgmlType::Q5_K, GgmlType::IQ2_XS}) {
    write_mixture(model, type);
    const nlohmann::json found = trace(model, 64);
    for (const auto& [tensor, op] : {std::pair("ffn_moe_gate_par-0", "MOE_FUSED_UP_GATE"),
                                     std::pair("ffn_moe_down-0", "MUL_MAT_ID")}) {
      const nlohmann::json product = find_tap(found, tensor, op);
      EXPECT_EQ(product["verdict"], "ok") << type_name(type) << product;
    }
  }
}

// Captured, its operation with experts that are not quantised would write beyond its work space.
TEST(IkRounding, MixturesOfHalvesAreCaptured) {
  SKIP_WITHOUT(ik);
  TempDir dir;
  const std::string model = dir.file("mixture.gguf");
  write_mixture(model, GgmlType::F16);
  EXPECT_EQ(find_tap(trace(model, 40), "ffn_moe_gate_par-1", "MOE_FUSED_UP_GATE")["verdict"], "ok");
}

}  // namespace
}  // namespace crossval::testing
