// The real ik_llama.cpp: right on models it can compute, and caught where it returns success and
// garbage (I2_S, for which it has no matmul).
#include <gtest/gtest.h>

#include "support/crossval_run.h"
#include "support/ik_quantizer.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

const std::string ik = root + "/.cache/engines/ik";

CrossvalResult per_token(const std::string& model) {
  return run_crossval(CROSSVAL_BIN,
                      {"per-token", "--model", model, "--prompt", "The quick brown fox",
                       "--prompt-template", "raw", "--backend", "ik"},
                      {.env = {{"IK_LLAMA_CPP_DIR", ik}}});
}

TEST(IkBackend, AgreesOnFloatModels) {
  SKIP_WITHOUT(ik);
  TempDir dir;
  for (const GgmlType type : {GgmlType::F32, GgmlType::F16}) {
    TinyModelOptions options;
    options.matrix_type = type;
    const std::string model = dir.file("tiny.gguf");
    write_tiny_model(model, options);
    const CrossvalResult result = per_token(model);
    EXPECT_EQ(result.run.exit_code, 0) << result.run.err << result.run.out;
    EXPECT_EQ(result.json()["backend"]["name"], "ik_llama.cpp");
    EXPECT_GT(result.json()["summary"]["min_cosine"], 0.9999);
    EXPECT_EQ(result.json()["summary"]["top1_agreement"], 1.0);
  }
}

// ik's own quantiser over a generated model; "" where it does not run.
std::string requantised_to_iq2_bn(const TempDir& dir, const std::string& architecture) {
  TinyModelOptions options;
  options.architecture = architecture;
  options.tied_output = true;
  options.n_embd = 512;  // shorter rows make ik's rounding of activations abort
  options.n_ff = 1024;
  options.embedding_type = GgmlType::F16;
  const std::string from = dir.file(architecture + ".gguf");
  write_tiny_model(from, options);
  return quantized_by_ik(ik, dir, from, "IQ2_BN", {"--token-embedding-type", "f16"});
}

TEST(IkBackend, AgreesOnItsOwnTernaryType) {
  SKIP_WITHOUT(ik);
  for (const std::string architecture : {"bitnet", "llama"}) {
    TempDir dir;
    const std::string model = requantised_to_iq2_bn(dir, architecture);
    if (model.empty()) GTEST_SKIP() << "ik's llama-quantize does not run here";
    const CrossvalResult result = per_token(model);
    EXPECT_EQ(result.run.exit_code, 0) << architecture << result.run.err << result.run.out;
    EXPECT_EQ(result.json()["model"]["quantization"], "IQ2_BN");
    EXPECT_EQ(result.json()["engine"]["numerics"], "ggml");
    // Up to the first activation that is rounded the other way, nothing but summation order.
    EXPECT_LT(result.json()["positions"][0]["rel_l2"], 1e-2) << result.run.out;
  }
}

TEST(IkBackend, GarbageOnI2SIsADivergenceWithItsOwnWarning) {
  SKIP_WITHOUT(ik);
  const CrossvalResult result = per_token(root + "/tests/data/bitnet-i2s/model.gguf");
  EXPECT_EQ(result.run.exit_code, 1) << result.run.err << result.run.out;
  EXPECT_EQ(result.json()["status"], "diverged");
  EXPECT_EQ(result.json()["tokens"]["match"], true);
  EXPECT_EQ(result.json()["summary"]["first_divergence"], 0);
  EXPECT_LT(result.json()["summary"]["min_cosine"], 0.5);
  const std::string log = result.json()["backend"]["log"].dump();
  EXPECT_NE(log.find("unknown type i2_s"), std::string::npos) << log;
  EXPECT_TRUE(result.json()["engine"]["log"].empty());
}

}  // namespace
}  // namespace crossval::testing
