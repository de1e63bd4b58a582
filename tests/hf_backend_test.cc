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
    return run(std::move(args), options);
  }
  // Of the checkpoint in folder_ against model_.
  CrossvalResult trace() const {
    return run({"trace", "--model", model_, "--backend-model", folder_, "--backend", "hf",
                "--numerics", "exact", "--tokens", "1,7,3,5,9,2,11,4,6,8", "--threads", "1"});
  }
  static CrossvalResult run(std::vector<std::string> args, const RunOptions& options = {}) {
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

size_t data_begin(const std::string& safetensors) {
  uint64_t length = 0;
  std::memcpy(&length, safetensors.data(), sizeof length);
  return sizeof length + length;
}

nlohmann::json header_of(const std::string& safetensors) {
  return nlohmann::json::parse(safetensors.substr(8, data_begin(safetensors) - 8));
}

// What the first fault of a trace is: its cause, and a weight.
std::string first_fault(const CrossvalResult& result) {
  const nlohmann::json json = result.json();
  if (json["faults"].empty()) return "none: " + json["status"].get<std::string>();
  const nlohmann::json& fault = json["faults"][0];
  return fault["cause"].get<std::string>() +
         (fault["weights"].empty() ? "" : " " + fault["weights"][0].get<std::string>());
}

TEST_F(HfBackend, ATraceRecomputesEachOperationWithTheFilesWeights) {
  write_arch_model(model_, *find_arch("qwen3"));
  write_checkpoint(model_, folder_);
  const CrossvalResult result = trace();
  SKIP_WITHOUT_TRANSFORMERS(result);
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err << result.run.out;
  const nlohmann::json json = result.json();
  EXPECT_EQ(json["status"], "agree");
  EXPECT_TRUE(json["coverage"]["not_shown"].empty());
  EXPECT_EQ(json["coverage"]["recomputed"], json["coverage"]["of"]);
  EXPECT_TRUE(json["rounded_types"].empty());
  // Weights, rotations, scores and sums, under llama.cpp's names.
  for (const char* name :
       {"inp_embd", "Qcur-0", "Qcur_normed-0", "kq-0", "kq_soft_max-0", "kqv-0", "attn_out-0",
        "ffn_inp-0", "ffn_gate_par-1", "l_out-1", "result_output"}) {
    const auto is_it = [&](const nlohmann::json& tap) { return tap["tensor"] == name; };
    EXPECT_TRUE(std::ranges::any_of(json["taps"], is_it)) << name;
  }
  // Looking on changes no bit.
  const CrossvalResult alone = per_token(
      {"--model", model_, "--backend-model", folder_, "--backend", "hf", "--numerics", "exact",
       "--tokens", "1,7,3,5,9,2,11,4,6,8", "--max-tokens", "0", "--threads", "1"});
  EXPECT_EQ(alone.json()["summary"]["min_cosine"], json["summary"]["min_cosine"]);
  EXPECT_EQ(alone.json()["summary"]["max_kl"], json["summary"]["max_kl"]);
}

TEST_F(HfBackend, ATraceFindsWhatTheConversionDidWrong) {
  write_arch_model(model_, *find_arch("qwen3"));
  write_checkpoint(model_, folder_);
  SKIP_WITHOUT_TRANSFORMERS(trace());
  const std::string file = folder_ + "/model.safetensors", config = folder_ + "/config.json";
  const std::string weights = read_text(file), keys = read_text(config);
  const auto with_key = [&](const char* key, const nlohmann::json& value) {
    nlohmann::json changed = nlohmann::json::parse(keys);
    changed[key] = value;
    write_text(config, changed.dump());
    const std::string found = first_fault(trace());
    write_text(config, keys);
    return found;
  };
  EXPECT_TRUE(with_key("rms_norm_eps", 1e-3).starts_with("rms_eps"));
  EXPECT_EQ(with_key("rope_parameters", {{"rope_type", "default"}, {"rope_theta", 777.0}}),
            "rope_base");
  EXPECT_EQ(with_key("hidden_act", "gelu"), "activation");
  // The names in its header change places: what was one tensor's is the other's.
  const auto with_swapped = [&](const std::string& a, const std::string& b) {
    std::string changed = weights;
    const size_t at_a = changed.find(a), at_b = changed.find(b);
    changed.replace(at_a, a.size(), b);
    changed.replace(at_b, b.size(), a);
    write_text(file, changed);
    const std::string found = first_fault(trace());
    write_text(file, weights);
    return found;
  };
  EXPECT_EQ(with_swapped("layers.0.mlp.down_proj", "layers.1.mlp.down_proj"),
            "other_layer blk.0.ffn_down.weight");
  EXPECT_EQ(with_swapped("layers.1.self_attn.q_norm", "layers.1.self_attn.k_norm"),
            "qkv_swapped blk.1.attn_q_norm.weight");
  // Rows of each head's halves take turns, as other families' converters make them.
  const nlohmann::json layout = header_of(weights)["model.layers.1.self_attn.q_proj.weight"];
  const auto n_in = layout["shape"][1].get<size_t>(), n_rows = layout["shape"][0].get<size_t>();
  const auto head_dim = nlohmann::json::parse(keys)["head_dim"].get<size_t>();
  const size_t begin = data_begin(weights) + layout["data_offsets"][0].get<size_t>();
  std::string turned = weights;
  for (size_t row = 0; row < n_rows; ++row) {
    const size_t i = row % head_dim, from = row - i + i % 2 * (head_dim / 2) + i / 2;
    turned.replace(begin + row * n_in * 4, n_in * 4, weights, begin + from * n_in * 4, n_in * 4);
  }
  write_text(file, turned);
  EXPECT_EQ(first_fault(trace()), "heads_permuted blk.1.attn_q.weight");
}

// llama.cpp's converter reorders rows of queries and keys, transformers puts them back.
TEST_F(HfBackend, ATraceOfAGgufItselfIsSilent) {
  SKIP_WITHOUT(smollm2);
  std::vector<std::string> whole = {"trace", "--model",  smollm2,      "--backend",
                                    "hf",    "--tokens", "1,2,3,4,5,6"};
  const CrossvalResult result = run(whole);
  SKIP_WITHOUT_TRANSFORMERS(result);
  ASSERT_EQ(result.run.exit_code, 0) << result.run.err << result.run.out;
  EXPECT_TRUE(result.json()["coverage"]["not_shown"].empty());
  EXPECT_EQ(result.json()["coverage"]["recomputed"], result.json()["coverage"]["of"]);
  whole.insert(whole.end(), {"--engine", "llama"});
  const CrossvalResult beside = run(whole);
  if (beside.run.exit_code == 4) GTEST_SKIP() << "needs llama.cpp: run `crossval setup llama`";
  EXPECT_EQ(beside.run.exit_code, 0) << beside.run.out;
}

// Of llama.cpp, transformers and native two agree; the checkpoint is the one that is another.
TEST_F(HfBackend, AVoteNamesTheCheckpointThatIsAnother) {
  write_arch_model(model_, *find_arch("qwen3"));
  write_checkpoint(model_, folder_);
  std::string weights = read_text(folder_ + "/model.safetensors");
  std::fill(weights.end() - 64 * 64 * 4, weights.end(), '\0');
  write_text(folder_ + "/model.safetensors", weights);
  const CrossvalResult result =
      per_token({"--model", model_, "--backend-model", folder_, "--backend", "llama,hf", "--tokens",
                 "1,7,3,5,9,2,11,4", "--max-tokens", "0"});
  for (const auto& pair : result.json()["pairs"]) {
    if (!pair["error"].is_null()) GTEST_SKIP() << pair["error"].dump();
  }
  EXPECT_EQ(result.run.exit_code, 1);
  EXPECT_EQ(result.json()["vote"]["outlier"], "transformers") << result.json()["vote"].dump();
  // Engines that read GGUF alone cannot share another file.
  EXPECT_EQ(error_code(per_token({"--model", model_, "--backend-model", model_, "--backend",
                                  "llama,hf", "--tokens", "1"})),
            "backend_model_of_several");
}

TEST_F(HfBackend, TensorsAreOfExactArithmeticAlone) {
  write_arch_model(model_, *find_arch("qwen3"));
  write_checkpoint(model_, folder_);
  const CrossvalResult result =
      run({"trace", "--model", model_, "--backend-model", folder_, "--backend", "hf", "--tokens",
           "1,7,3", "--backend-opt", "dtype=bf16"});
  SKIP_WITHOUT_TRANSFORMERS(result);
  EXPECT_EQ(result.run.exit_code, 3);
  EXPECT_EQ(error_code(result), "no_taps");
}

}  // namespace
}  // namespace crossval::testing
