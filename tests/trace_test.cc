// crossval trace on real engines: clean runs agree whatever the settings, a broken engine is named.
// Seeded faults are tests/faults' business.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <random>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/random_blocks.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

const std::string ik = root + "/.cache/engines/ik";
const std::string i2_s = root + "/tests/data/bitnet-i2s/model.gguf";

CrossvalResult trace(const std::string& model, std::vector<std::string> more,
                     const std::string& engine = llama_new, const RunOptions& options = {}) {
  std::vector<std::string> args = {
      "trace", "--model", model, "--prompt", "The quick brown fox", "--prompt-template", "raw"};
  args.insert(args.end(), more.begin(), more.end());
  RunOptions run = options;
  run.env["LLAMA_CPP_DIR"] = engine;
  return run_crossval(CROSSVAL_BIN, args, run);
}

const nlohmann::json* find_tap(const nlohmann::json& trace, const std::string& tensor,
                               const std::string& op) {
  for (const auto& tap : trace["taps"]) {
    if (tap["tensor"] == tensor && tap["op"] == op) return &tap;
  }
  return nullptr;
}

TEST(Trace, CleanRunNamesEveryTensor) {
  SKIP_WITHOUT(smollm2);
  SKIP_WITHOUT(llama_new);
  const CrossvalResult result = trace(smollm2, {});
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err << result.run.out.substr(0, 2000);
  const auto& json = result.json();
  EXPECT_EQ(json["schema"], "crossval/trace/1");
  EXPECT_EQ(json["status"], "agree");
  EXPECT_TRUE(json["first_divergence"].is_null());
  EXPECT_TRUE(json["structure_checked"]);
  EXPECT_GT(json["n_taps"], 30 * 20);
  EXPECT_EQ(json["n_taps"], json["n_replayed"]);
  EXPECT_EQ(json["n_taps"], json["taps"].size());
  const auto* product = find_tap(json, "Kcur-3", "MUL_MAT");
  const auto* rotated = find_tap(json, "Kcur-3", "ROPE");
  ASSERT_TRUE(product != nullptr && rotated != nullptr);
  EXPECT_EQ((*product)["weight"], "blk.3.attn_k.weight");
  EXPECT_EQ((*product)["occurrence"], 0);
  EXPECT_EQ((*rotated)["occurrence"], 1);
  EXPECT_EQ((*rotated)["layer"], 3);
  EXPECT_LT((*product)["own_error"], 1e-6);
  EXPECT_GT((*product)["own_error"], 0);  // compared with the engine's numbers, not with its own
  EXPECT_FALSE((*product)["rel_l2"].is_null());
  EXPECT_NE(find_tap(json, "result_output", "MUL_MAT"), nullptr);
}

TEST(Trace, SettingsAndOlderEnginesAreNoFaults) {
  SKIP_WITHOUT(smollm2);
  SKIP_WITHOUT(llama_new);
  SKIP_WITHOUT(llama_old);
  for (const char* setting : {"flash_attn=on", "kv_type=f16", "ubatch=3", "extra_bufts=on"}) {
    const CrossvalResult result = trace(smollm2, {"--backend-opt", setting});
    EXPECT_EQ(result.run.exit_code, 0)
        << setting << result.run.err << result.json()["first_divergence"];
  }
  const CrossvalResult old = trace(smollm2, {}, llama_old);
  EXPECT_EQ(old.run.exit_code, 0) << old.run.err << old.json()["first_divergence"];
}

TEST(Trace, DecodedTokensAreTracedToo) {
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  write_tiny_model(dir.file("tiny.gguf"), {});
  const CrossvalResult result = trace(dir.file("tiny.gguf"), {"--max-tokens", "2"});
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err;
  int last = 0;
  for (const auto& tap : result.json()["taps"])
    last = std::max(last, tap["first_position"].get<int>());
  EXPECT_EQ(last, static_cast<int>(result.json()["tokens"]["engine"].size()) + 1);
}

TEST(Trace, FiltersNarrow) {
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  write_tiny_model(dir.file("tiny.gguf"), {});
  const CrossvalResult result = trace(dir.file("tiny.gguf"), {"--layers", "1", "--taps", "^Vcur"});
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err;
  ASSERT_EQ(result.json()["n_taps"], 1) << result.run.out;
  EXPECT_EQ(result.json()["taps"][0]["tensor"], "Vcur-1");
}

TEST(Trace, DumpedIdsAreBesideTheJson) {
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  write_tiny_model(dir.file("tiny.gguf"), {});
  const CrossvalResult result = trace(dir.file("tiny.gguf"), {"--dump-ids", "--dump-cpp-ids"});
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err;
  EXPECT_NE(result.run.err.find("native: "), std::string::npos) << result.run.err;
  EXPECT_NE(result.run.err.find("llama.cpp: "), std::string::npos) << result.run.err;
}

TEST(Trace, LiftedRunLeavesNothingBehind) {
  SKIP_WITHOUT(llama_new);
  TempDir dir, temporary;
  TinyModelOptions options;
  options.matrix_type = GgmlType::Q8_0;
  write_tiny_model(dir.file("tiny.gguf"), options);
  const CrossvalResult result =
      trace(dir.file("tiny.gguf"), {"--lift"}, llama_new, {.env = {{"TMPDIR", temporary.path()}}});
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err;
  EXPECT_TRUE(result.json()["lifted"]);
  EXPECT_EQ(result.json()["model"]["quantization"], "F32");
  EXPECT_TRUE(std::filesystem::is_empty(temporary.path()));
  // Without quantised activations both whole runs stay together.
  for (const auto& tap : result.json()["taps"]) {
    if (tap["rel_l2"].is_null()) continue;
    EXPECT_LT(tap["rel_l2"], 1e-4) << tap;
  }
}

TEST(Trace, GridsAndFloatsOfFourBitsAreRecomputed) {
  SKIP_WITHOUT(llama_new);
  const TempDir dir;
  write_tiny_model(dir.file("f32.gguf"), {.n_embd = 256, .n_ff = 512});
  for (const char* name :
       {"IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "NVFP4"}) {
    const TypeInfo& type = *find_type_by_name(name);
    ModelEdit edit(dir.file("f32.gguf"));
    for (const char* tensor : {"blk.0.attn_q.weight", "blk.0.ffn_down.weight"}) {
      const std::vector<int64_t> shape = edit.shape(tensor);
      edit.replace(tensor, type.type, shape, random_blocks(type, shape[0] * shape[1]));
    }
    edit.write(dir.file("m.gguf"));
    const CrossvalResult result = trace(dir.file("m.gguf"), {});
    ASSERT_EQ(result.run.exit_code, 0) << name << result.run.err << result.run.out.substr(0, 2000);
    const auto& json = result.json();
    EXPECT_TRUE(json["structure_checked"]) << name;
    EXPECT_TRUE(json["coverage"]["not_recomputed"].empty()) << name;
    const auto* product = find_tap(json, "Qcur-0", "MUL_MAT");
    ASSERT_NE(product, nullptr);
    EXPECT_GT((*product)["own_error"], 0) << name;
    EXPECT_LT((*product)["ratio"], 0.5) << name;
  }
}

TEST(Trace, EngineThatDoesNotComputeIsNamed) {
  SKIP_WITHOUT(ik);
  const CrossvalResult result =
      trace(i2_s, {"--backend", "ik"}, llama_new, {.env = {{"IK_LLAMA_CPP_DIR", ik}}});
  ASSERT_EQ(result.run.exit_code, 1) << result.run.err;
  const auto& first = result.json()["first_divergence"];
  EXPECT_EQ(first["tensor"], "Qcur-0");
  EXPECT_EQ(first["op"], "MUL_MAT");
  EXPECT_EQ(first["weight"], "blk.0.attn_q.weight");
  EXPECT_EQ(first["kind"], "op");
  EXPECT_EQ(first["cause"], "not_written");
  EXPECT_NE(result.json()["backend"]["log"].dump().find("unknown type i2_s"), std::string::npos);
}

TEST(Trace, BadInputIsOneError) {
  TempDir dir;
  write_tiny_model(dir.file("tiny.gguf"), {});
  const struct {
    std::vector<std::string> flags;
    const char* code;
  } cases[] = {{{"--layers", "x"}, "bad_layers"},
               {{"--layers", "4-2"}, "bad_layers"},
               {{"--taps", "("}, "bad_regex"},
               {{"--backend", "native"}, "no_taps"}};
  for (const auto& row : cases) {
    const CrossvalResult result = trace(dir.file("tiny.gguf"), row.flags);
    EXPECT_EQ(result.run.exit_code, 3) << result.run.err;
    EXPECT_EQ(result.json()["error"]["code"], row.code);
    EXPECT_TRUE(result.json()["first_divergence"].is_null());
  }
}

}  // namespace
}  // namespace crossval::testing
