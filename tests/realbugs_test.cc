// Silent bugs of real engines that CI has, on models small enough to be made here: found, named
// with their cause, and nobody blamed where the model does not touch the bug. `make realbugs` runs
// more, with engines and models that CI does not have.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

const std::string ik = root + "/.cache/engines/ik";
const std::string ids = "5,9,20,33,61,7,44,90,12,18,77,29";

CrossvalResult hold_apart(const std::string& command, const std::string& model,
                          const std::string& backend) {
  return run_crossval(CROSSVAL_BIN,
                      {command, "--model", model, "--tokens", ids, "--engine", "llama:" + llama_new,
                       "--backend", backend, "--threads", "1", "--max-tokens", "0"});
}

// What `trace` finds first, which has to be something.
nlohmann::json first_fault(const std::string& model, const std::string& backend) {
  const CrossvalResult found = hold_apart("trace", model, backend);
  EXPECT_EQ(found.run.exit_code, 1) << found.run.out << found.run.err;
  return found.json()["first_divergence"];
}

std::vector<std::byte> random_bytes(int64_t n, float deviation, unsigned seed, float mean = 0) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(mean, deviation);
  std::vector<float> values(static_cast<size_t>(n));
  for (float& value : values) value = normal(engine);
  std::vector<std::byte> bytes(values.size() * sizeof(float));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Experts in place of the feed-forward part: 4, of which 2 are used.
void write_mixture(const std::string& path, GgmlType type) {
  constexpr int64_t n_embd = 64, n_ff = 96, n_experts = 4;
  write_tiny_model(path);
  ModelEdit edit(path);
  unsigned seed = 1;
  for (const std::string layer : {"blk.0.", "blk.1."}) {
    for (const char* part : {"ffn_gate", "ffn_up", "ffn_down"}) {
      edit.remove(layer + part + ".weight");
      const bool is_down = std::string_view(part) == "ffn_down";
      const int64_t in = is_down ? n_ff : n_embd, out = is_down ? n_embd : n_ff;
      edit.add(layer + part + "_exps.weight", GgmlType::F32, {in, out, n_experts},
               random_bytes(in * out * n_experts, 0.1f, ++seed));
    }
    edit.add(layer + "ffn_gate_inp.weight", GgmlType::F32, {n_embd, n_experts},
             random_bytes(n_embd * n_experts, 0.3f, ++seed));
  }
  edit.metadata().set_u32("llama.expert_count", n_experts);
  edit.metadata().set_u32("llama.expert_used_count", 2);
  edit.write(path);
  if (type == GgmlType::F32) return;
  ModelEdit converted(path);
  for (const char* part : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
    for (const std::string layer : {"blk.0.", "blk.1."}) {
      converted.convert(layer + part + ".weight", type);
    }
  }
  converted.write(path);
}

// ik_llama.cpp, wheel 0.1.5: Llama 3's frequency factors never reach rope (its PR 2291).
TEST(RealBugs, RopeFactorsThatNeverReachRope) {
  SKIP_WITHOUT(ik);
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  const std::string model = dir.file("tiny.gguf");
  write_tiny_model(model);
  const CrossvalResult clean = hold_apart("trace", model, "ik:" + ik);
  EXPECT_EQ(clean.run.exit_code, 0) << clean.run.out << clean.run.err;
  EXPECT_EQ(hold_apart("per-token", model, "ik:" + ik).run.exit_code, 0);

  ModelEdit edit(model);
  edit.add("rope_freqs.weight", GgmlType::F32, {8}, random_bytes(8, 0.5f, 3, 4));
  edit.write(model);
  const nlohmann::json first = first_fault(model, "ik:" + ik);
  EXPECT_EQ(first["cause"], "rope_freqs") << first;
  EXPECT_EQ(first["layer"], 0) << first;
  EXPECT_EQ(first["op"], "ROPE") << first;
  EXPECT_EQ(first["side"], "backend") << first;
  EXPECT_EQ(hold_apart("per-token", model, "ik:" + ik).run.exit_code, 1);
}

// The same: with experts in architecture llama the residual adds the norm's output, not its input.
TEST(RealBugs, TheResidualOfAMixtureAddsTheNorm) {
  SKIP_WITHOUT(ik);
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  const std::string model = dir.file("mixture.gguf");
  write_mixture(model, GgmlType::F32);
  const nlohmann::json first = first_fault(model, "ik:" + ik);
  EXPECT_EQ(first["tensor"], "l_out-0") << first;
  EXPECT_EQ(first["op"], "ADD") << first;
  EXPECT_NE(first["explanation"].get<std::string>().find("ffn_norm-0"), std::string::npos) << first;
  EXPECT_NE(first["explanation"].get<std::string>().find("ffn_inp-0"), std::string::npos) << first;
  const CrossvalResult clean = hold_apart("trace", model, "llama:" + llama_new);
  EXPECT_EQ(clean.run.exit_code, 0) << clean.run.out << clean.run.err;
}

// The same: rows of IQ2_BN are looked up from their scale on, as if that were codes. (llama.cpp
// does not know the type: native is the engine.)
TEST(RealBugs, ScalesOfRowsReadAsCodes) {
  SKIP_WITHOUT(ik);
  TempDir dir;
  const std::string model = dir.file("tiny.gguf");
  write_tiny_model(model, {.n_embd = 512, .n_ff = 512, .embedding_type = GgmlType::IQ2_BN});
  const CrossvalResult found =
      run_crossval(CROSSVAL_BIN, {"trace", "--model", model, "--tokens", ids, "--engine", "native",
                                  "--backend", "ik:" + ik, "--threads", "1"});
  EXPECT_EQ(found.run.exit_code, 1) << found.run.out << found.run.err;
  const nlohmann::json first = found.json()["first_divergence"];
  EXPECT_EQ(first["tensor"], "inp_embd") << first;
  EXPECT_EQ(first["cause"], "codes_shifted") << first;
  EXPECT_EQ(first["kind"], "op") << first;
  EXPECT_NE(first["explanation"].get<std::string>().find("4 bytes of the scale"), std::string::npos)
      << first;
}

// Two engines that are right round apart; how far is measured where native does not run the model.
TEST(RealBugs, NoiseIsMeasuredWhereNativeDoesNotRun) {
  SKIP_WITHOUT(llama_old);
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  const std::string model = dir.file("mixture.gguf");
  write_mixture(model, GgmlType::Q4_0);
  const CrossvalResult result = hold_apart("per-token", model, "llama:" + llama_old);
  EXPECT_EQ(result.run.exit_code, 0) << result.run.out << result.run.err;
  const auto summary = result.json()["summary"];
  ASSERT_FALSE(summary["median_noise"].is_null()) << summary;
  EXPECT_GT(summary["median_noise"], 1e-4) << summary;
  EXPECT_LT(summary["median_noise"], 0.2) << summary;
}

}  // namespace
}  // namespace crossval::testing
