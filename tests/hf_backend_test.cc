// Hugging Face transformers as an engine: without it, what is said; where `crossval setup hf` has
// made it ready, its logits beside native's, of a GGUF and of a checkpoint's folder.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "arch/archs.h"
#include "gguf/model_file.h"
#include "support/arch_model.h"
#include "support/crossval_run.h"
#include "support/safetensors.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

namespace fs = std::filesystem;

class HfBackend : public ::testing::Test {
 protected:
  static CrossvalResult per_token(std::vector<std::string> args, const RunOptions& options = {}) {
    args.insert(args.begin(), "per-token");
    RunOptions patient = options;
    patient.timeout_ms = 600'000;  // torch is imported
    return run_crossval(CROSSVAL_BIN, args, patient);
  }
  static std::string error_code(const CrossvalResult& result) {
    return result.json()["error"]["code"].get<std::string>();
  }
  // The farthest that any position is apart.
  static double farthest(const CrossvalResult& result) {
    double most = 0;
    for (const auto& position : result.json()["positions"]) {
      most = std::max(most, position["rel_l2"].get<double>());
    }
    return most;
  }
  // A folder as transformers writes one, of the same weights: the names of a Qwen 3 layer. That
  // family's matrices lie in a GGUF as they lie in a checkpoint (llama.cpp conversion/qwen.py).
  void write_checkpoint(const std::string& gguf, const std::string& folder);

  TempDir dir_;
  const std::string model_ = dir_.file("m.gguf"), folder_ = dir_.file("checkpoint");
};

constexpr std::pair<const char*, const char*> kNames[] = {
    {"attn_norm", "input_layernorm"},    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"}, {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},      {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"}, {"ffn_norm", "post_attention_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},       {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
};

std::string name_in_checkpoint(std::string_view tensor) {
  if (tensor == "token_embd.weight") return "model.embed_tokens.weight";
  if (tensor == "output_norm.weight") return "model.norm.weight";
  if (tensor == "output.weight") return "lm_head.weight";
  const std::string_view rest = tensor.substr(4);  // after "blk."
  const size_t dot = rest.find('.');
  const std::string_view part = rest.substr(dot + 1, rest.rfind('.') - dot - 1);
  for (const auto& [ours, theirs] : kNames) {
    if (part == ours) {
      return "model.layers." + std::string(rest.substr(0, dot)) + "." + theirs + ".weight";
    }
  }
  throw std::runtime_error("no name for " + std::string(tensor));
}

void HfBackend::write_checkpoint(const std::string& gguf, const std::string& folder) {
  const auto model = ModelFile::open(gguf);
  const auto key = [&](const char* name) {
    return model->get_int(std::string("qwen3.") + name).value();
  };
  std::vector<StoredTensor> tensors;
  bool tied = true;
  for (const TensorView& tensor : model->tensors()) {
    ASSERT_EQ(tensor.type, GgmlType::F32) << tensor.name;
    tied = tied && tensor.name != "output.weight";
    tensors.push_back({name_in_checkpoint(tensor.name),
                       "F32",
                       {tensor.shape.rbegin(), tensor.shape.rend()},
                       {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()}});
  }
  const nlohmann::json config = {
      {"architectures", {"Qwen3ForCausalLM"}},
      {"model_type", "qwen3"},
      {"vocab_size", model->find_tensor("token_embd.weight")->shape[1]},
      {"hidden_size", key("embedding_length")},
      {"intermediate_size", key("feed_forward_length")},
      {"num_hidden_layers", key("block_count")},
      {"num_attention_heads", key("attention.head_count")},
      {"num_key_value_heads", key("attention.head_count_kv")},
      {"head_dim",
       model->find_tensor("blk.0.attn_q.weight")->shape[1] / key("attention.head_count")},
      {"max_position_embeddings", key("context_length")},
      {"rms_norm_eps", model->get_float("qwen3.attention.layer_norm_rms_epsilon").value()},
      {"rope_parameters",
       {{"rope_type", "default"},
        {"rope_theta", model->get_float("qwen3.rope.freq_base").value_or(10000)}}},
      {"tie_word_embeddings", tied},
      {"hidden_act", "silu"}};
  fs::create_directories(folder);
  write_text(folder + "/config.json", config.dump(1));
  write_text(folder + "/model.safetensors", safetensors(tensors));
}

// Named for what is set up by hand: CI has no 6 GB for it.
#define SKIP_WITHOUT_TRANSFORMERS(result)                                          \
  if ((result).run.exit_code == 4 && error_code(result) == "backend_not_set_up") { \
    GTEST_SKIP() << "needs transformers: run `crossval setup hf` (6 GB)";          \
  }                                                                                \
  static_assert(true)

TEST_F(HfBackend, WithoutAnEnvironmentItSaysWhatToRun) {
  write_tiny_model(model_);
  const RunOptions nothing_set_up = {.env = {{"CROSSVAL_HOME", dir_.file("home")}}};
  for (const char* name : {"hf", "transformers"}) {
    const CrossvalResult result =
        per_token({"--model", model_, "--tokens", "1,2", "--backend", name}, nothing_set_up);
    EXPECT_EQ(result.run.exit_code, 4);
    EXPECT_EQ(error_code(result), "backend_not_set_up");
    EXPECT_NE(result.json()["error"]["fix"].get<std::string>().find("setup hf"), std::string::npos);
  }
}

// A program of Python's library alone: it answers, and says what is missing.
TEST_F(HfBackend, TheWorkerSaysThatItsPackagesAreMissing) {
  write_tiny_model(model_);
  const RunResult found = run_program({"python3", "-c", "import transformers"});
  if (found.exit_code == 0) GTEST_SKIP() << "python3 has transformers";
  write_text(dir_.file("worker"), "#!/bin/sh\nexec python3 -E -B " + root + "/workers/hf\n");
  fs::permissions(dir_.file("worker"), fs::perms::owner_all);
  const CrossvalResult result = per_token(
      {"--model", model_, "--tokens", "1,2", "--backend", "worker:" + dir_.file("worker")});
  EXPECT_EQ(result.run.exit_code, 4) << result.run.err;
  EXPECT_NE(result.json()["error"]["what"].get<std::string>().find("package transformers"),
            std::string::npos)
      << result.json()["error"].dump();
}

TEST_F(HfBackend, EnginesThatReadGgufAloneRefuseAFolder) {
  write_tiny_model(model_);
  fs::create_directories(folder_);
  write_text(folder_ + "/config.json", "{}");
  for (const char* name : {"native", "trace:x"}) {
    const CrossvalResult result = per_token(
        {"--model", model_, "--backend-model", folder_, "--tokens", "1,2", "--backend", name});
    EXPECT_EQ(result.run.exit_code, 3) << result.run.err;
    EXPECT_EQ(error_code(result), "wrong_model_kind");
    EXPECT_NE(result.json()["error"]["fix"].get<std::string>().find("hf"), std::string::npos);
  }
}

TEST_F(HfBackend, AFolderIsNoModelToCheckAgainst) {
  fs::create_directories(folder_);
  write_text(folder_ + "/config.json", "{}");
  const CrossvalResult result =
      per_token({"--model", folder_, "--backend", "hf", "--tokens", "1,2"});
  EXPECT_EQ(result.run.exit_code, 3);
  EXPECT_NE(result.json()["error"]["fix"].get<std::string>().find("--backend-model"),
            std::string::npos);
}

TEST_F(HfBackend, ACheckpointAgreesWithItsGguf) {
  write_arch_model(model_, *find_arch("qwen3"));
  write_checkpoint(model_, folder_);
  const std::vector<std::string> args = {
      "--model", model_,     "--backend-model",  folder_,        "--backend", "hf", "--numerics",
      "exact",   "--tokens", "1,7,3,5,9,2,11,4", "--max-tokens", "3"};
  const CrossvalResult result = per_token(args);
  SKIP_WITHOUT_TRANSFORMERS(result);
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err << result.run.out;
  EXPECT_LT(farthest(result), 1e-5);
  EXPECT_EQ(result.json()["backend"]["name"], "transformers");
  EXPECT_EQ(result.json()["backend"]["model"], folder_);
  EXPECT_EQ(result.json()["backend"]["settings"]["dtype"], "f32");
  EXPECT_EQ(result.json()["backend"]["settings"]["attn"], "eager");
  EXPECT_EQ(result.json()["positions"].size(), 11u);

  // One row of one matrix is another: that is no rounding.
  std::string weights = read_text(folder_ + "/model.safetensors");
  std::fill(weights.end() - 64 * 4, weights.end(), '\0');
  write_text(folder_ + "/model.safetensors", weights);
  EXPECT_EQ(per_token(args).run.exit_code, 1);

  // A weight that is not there would be made up.
  nlohmann::json config = nlohmann::json::parse(read_text(folder_ + "/config.json"));
  config["num_hidden_layers"] = config["num_hidden_layers"].get<int>() + 1;
  write_text(folder_ + "/config.json", config.dump());
  const CrossvalResult lacking = per_token(args);
  EXPECT_EQ(lacking.run.exit_code, 4);
  EXPECT_EQ(error_code(lacking), "missing_weights") << lacking.run.out;
}

TEST_F(HfBackend, ReadsAGgufItself) {
  SKIP_WITHOUT(smollm2);
  write_text(dir_.file("prompts.jsonl"),
             "{\"prompt\": \"What is 2+2?\"}\n{\"prompt\": \"Name a river.\"}\n");
  const CrossvalResult result =
      per_token({"--model", smollm2, "--backend", "hf", "--numerics", "exact", "--prompts",
                 dir_.file("prompts.jsonl"), "--max-tokens", "2", "--verbose"});
  SKIP_WITHOUT_TRANSFORMERS(result);
  ASSERT_EQ(result.objects.size(), 2u) << result.run.err;
  for (const nlohmann::json& one : result.objects) {
    EXPECT_EQ(one["status"], "agree");
    for (const auto& position : one["positions"]) EXPECT_LT(position["rel_l2"].get<double>(), 1e-5);
  }
  size_t n_loads = 0;
  std::istringstream lines(result.run.err);
  for (std::string line; std::getline(lines, line);) {
    n_loads += line.starts_with("worker: transformers load ");
  }
  EXPECT_EQ(n_loads, 1u) << result.run.err;
}

TEST_F(HfBackend, SettingsAreKnownAndChecked) {
  write_arch_model(model_, *find_arch("qwen3"));
  write_checkpoint(model_, folder_);
  const auto with = [&](const std::string& setting) {
    return per_token({"--model", model_, "--backend-model", folder_, "--backend", "hf", "--tokens",
                      "1,7,3", "--max-tokens", "0", "--backend-opt", setting});
  };
  const CrossvalResult unknown = with("dtyp=f32");
  SKIP_WITHOUT_TRANSFORMERS(unknown);
  EXPECT_EQ(unknown.run.exit_code, 3);
  EXPECT_NE(unknown.json()["error"]["fix"].get<std::string>().find("dtype"), std::string::npos);
  EXPECT_EQ(with("dtype=f8").run.exit_code, 3);
  const CrossvalResult rounded = with("dtype=bf16");
  ASSERT_FALSE(rounded.json()["positions"].empty()) << rounded.run.out;
  EXPECT_GT(farthest(rounded), 1e-4);
  EXPECT_LT(farthest(with("attn=sdpa")), 1e-5);
}

}  // namespace
}  // namespace crossval::testing
