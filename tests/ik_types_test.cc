// Weights in the types that ik_llama.cpp alone knows, made by its own quantiser: native computes
// what the real engine computes, trace has nothing to say, and finds a damaged block.
#include <gtest/gtest.h>

#include <string>

#include "support/crossval_run.h"
#include "support/ik_quantizer.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

const std::string ik = root + "/.cache/engines/ik";
constexpr const char* matrix = "blk.1.ffn_up.weight";

class IkTypes : public ::testing::TestWithParam<const char*> {
 protected:
  // "" where the quantiser does not run.
  std::string model() {
    TinyModelOptions options;
    options.n_embd = 512;
    options.n_ff = 1024;
    options.n_heads = 8;
    options.n_kv_heads = 4;
    const std::string from = dir_.file("tiny.gguf");
    write_tiny_model(from, options);
    return quantized_by_ik(ik, dir_, from, GetParam(), {"--token-embedding-type", "q8_0"});
  }
  static CrossvalResult run(std::vector<std::string> args) {
    args.insert(args.end(), {"--backend", "ik"});
    return run_crossval(CROSSVAL_BIN, args, {.env = {{"IK_LLAMA_CPP_DIR", ik}}});
  }
  TempDir dir_;
};

// Few ids meet the weights as they are, 40 as ik rounds them again.
std::string ids(int n) {
  std::string list = "3";
  for (int i = 1; i < n; ++i) list += "," + std::to_string(3 + i * 7 % 250);
  return list;
}

TEST_P(IkTypes, AgreeAndAreTraced) {
  SKIP_WITHOUT(ik);
  const std::string file = model();
  if (file.empty()) GTEST_SKIP() << "ik's llama-quantize does not run here";
  EXPECT_EQ(type_name(ModelEdit(file).type(matrix)), GetParam());
  const CrossvalResult agreed = run({"per-token", "--model", file, "--tokens", ids(5)});
  EXPECT_EQ(agreed.run.exit_code, 0) << agreed.run.err << agreed.run.out;
  for (const int n : {5, 40}) {
    const CrossvalResult traced = run({"trace", "--model", file, "--tokens", ids(n)});
    ASSERT_EQ(traced.run.exit_code, 0) << n << traced.run.err << traced.run.out.substr(0, 3000);
    EXPECT_EQ(traced.json()["n_taps"], traced.json()["n_replayed"]);
    EXPECT_EQ(traced.json()["status"], "agree");
  }
}

TEST_P(IkTypes, DamagedBlockIsFound) {
  SKIP_WITHOUT(ik);
  const std::string file = model(), damaged = dir_.file("damaged.gguf");
  if (file.empty()) GTEST_SKIP() << "ik's llama-quantize does not run here";
  ModelEdit edit(file);
  edit.edit_bytes(matrix, [](std::vector<std::byte>& bytes) {
    for (size_t i = 1; i <= 16; ++i) bytes[bytes.size() - i] ^= std::byte{0x11};  // codes
  });
  edit.write(damaged);
  const CrossvalResult traced =
      run({"trace", "--model", file, "--backend-model", damaged, "--tokens", ids(5)});
  EXPECT_EQ(traced.run.exit_code, 1) << traced.run.err;
  const std::string first = traced.json()["first_divergence"].dump();
  EXPECT_NE(first.find(matrix), std::string::npos) << first;
}

// Without AVX-512 ik's kernels for these add two products in 16 bits; 32 ids and more meet others.
class SaturatingIkTypes : public IkTypes {};

TEST_P(SaturatingIkTypes, AreFoundForFewIdsAlone) {
  SKIP_WITHOUT(ik);
  const std::string file = model();
  if (file.empty()) GTEST_SKIP() << "ik's llama-quantize does not run here";
  const CrossvalResult few = run({"trace", "--model", file, "--tokens", ids(5)});
  const nlohmann::json first = few.json()["first_divergence"];
  if (first.is_null()) GTEST_SKIP() << "this ik_llama.cpp has the kernels for AVX-512";
  EXPECT_EQ(first["tensor"], "Qcur-0") << first;
  EXPECT_EQ(first["cause"], "int16_overflow") << first;
  const CrossvalResult many = run({"trace", "--model", file, "--tokens", ids(40)});
  EXPECT_EQ(many.run.exit_code, 0) << many.run.err << many.run.out.substr(0, 3000);
}

INSTANTIATE_TEST_SUITE_P(Table, SaturatingIkTypes, ::testing::Values("IQ4_KSS", "IQ5_KS"),
                         [](const auto& info) { return std::string(info.param); });

INSTANTIATE_TEST_SUITE_P(Table, IkTypes,
                         ::testing::Values("IQ2_K", "IQ3_K", "IQ4_K", "IQ5_K", "IQ6_K", "IQ2_KS",
                                           "IQ3_KS", "IQ4_KS", "IQ2_KL", "Q6_0", "Q4_0_R8",
                                           "Q5_0_R4", "Q6_0_R4", "Q8_0_R8", "IQ4_NL_R4",
                                           "IQ4_XS_R8", "Q2_K_R4", "Q3_K_R4", "Q4_K_R4", "Q5_K_R4",
                                           "Q6_K_R4", "IQ2_K_R4", "IQ3_K_R4", "IQ4_K_R4",
                                           "IQ5_K_R4", "IQ4_KS_R4", "IQ5_KS_R4", "IQ1_BN",
                                           "IQ2_BN_R4"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace crossval::testing
