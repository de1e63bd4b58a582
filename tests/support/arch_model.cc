#include "support/arch_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "arch/tensors.h"
#include "gguf/writer.h"
#include "support/temp_dir.h"
#include "support/tiny_vocabulary.h"

namespace crossval::testing {
namespace {

constexpr int kNEmbd = 64, kNHeads = 4, kNKvHeads = 2, kNFf = 96, kNCtx = 256;

// Positions that an indexer leaves, or blocks of two; the prompts of tests have more.
constexpr int kNSeen = 6;

// Lengths of latent attention; rows are twice as long in layers with a window.
constexpr int kRank = 32, kQRank = 48, kKeyLen = 24, kValueLen = 20, kNRot = 8;

void set_latent_keys(GgufWriter& out, const Arch& arch, const LatentAttention& attention) {
  const auto key = [&](const std::string& name) { return std::string(arch.name) + "." + name; };
  const auto set_lengths = [&](const std::string& end, uint32_t rank) {
    out.set_u32(key("attention.kv_lora_rank" + end), rank);
    out.set_u32(key("attention.key_length" + end), attention.absorbs ? rank + kNRot : kKeyLen);
    out.set_u32(key("attention.value_length" + end), attention.absorbs ? rank : kValueLen);
    out.set_u32(key("rope.dimension_count" + end), kNRot);
    if (!attention.absorbs) return;
    out.set_u32(key("attention.key_length_mla" + end), kKeyLen);
    out.set_u32(key("attention.value_length_mla" + end), kValueLen);
  };
  set_lengths("", kRank);
  if (attention.own_window_lengths) {
    set_lengths("_swa", 2 * kRank);
    out.set_f32(key("rope.freq_base_swa"), 5000.0f);
  }
  out.set_u32(key("attention.head_count_kv"), attention.absorbs ? 1 : kNHeads);
  if (attention.q_row) out.set_u32(key("attention.q_lora_rank"), kQRank);
  if (attention.temperature) {
    out.set_f32(key("attention.temperature_scale"), 0.3f);
    out.set_u32(key("attention.temperature_length"), 5);
  }
  if (arch.yarn_log != Arch::YarnLog::none) {
    out.set_string(key("rope.scaling.type"), "yarn");
    out.set_f32(key("rope.scaling.factor"), 4.0f);
    out.set_u32(key("rope.scaling.original_context_length"), 64);
    out.set_f32(key("rope.scaling.yarn_log_multiplier"), 0.0707f);
  }
  if (attention.indexer.kind != Indexer::Kind::none) {
    // So many heads that no two scores are alike by none being above 0.
    out.set_u32(key("attention.indexer.head_count"), 16);
    out.set_u32(key("attention.indexer.key_length"), 64);
    out.set_u32(key("attention.indexer.top_k"), kNSeen);
    const int32_t first =
        attention.own_window_lengths
            ? 0
            : 1;  // none where there is a window; else the other layer takes the first one's
    out.set_i32_array(key("attention.indexer.types"), std::vector<int32_t>{first, 1 - first});
  }
}

void set_compressed_keys(GgufWriter& out, const Arch& arch) {
  const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
  out.set_u32(key("block_count"), 3);
  out.set_u32(key("attention.head_count_kv"), 1);
  out.set_u32(key("attention.key_length"), kRank);
  out.set_u32(key("attention.value_length"), kRank);
  out.set_u32(key("rope.dimension_count"), kNRot);
  out.set_u32(key("attention.q_lora_rank"), kQRank);
  out.set_u32(key("attention.output_group_count"), 2);
  out.set_u32(key("attention.output_lora_rank"), 24);
  out.set_f32(key("attention.compress_rope_freq_base"), 5000.0f);
  out.set_i32_array(key("attention.compress_ratios"), std::vector<int32_t>{4, 0, 128});
  out.set_u32(key("hash_layer_count"), 1);
  out.set_u32(key("attention.indexer.head_count"), 16);
  out.set_u32(key("attention.indexer.key_length"), 64);
  out.set_u32(key("attention.indexer.top_k"), 2);
  out.set_string(key("rope.scaling.type"), "yarn");
  out.set_f32(key("rope.scaling.factor"), 4.0f);
  out.set_u32(key("rope.scaling.original_context_length"), 64);
}

void set_hyper_keys(GgufWriter& out, const Arch& arch) {
  const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
  // llama.cpp mixes four, no more and no fewer (deepseek4.cpp).
  out.set_u32(key("hyper_connection.count"), arch.hyper == Arch::Hyper::mixes ? 4 : 3);
  out.set_u32(key("hyper_connection.low_rank"), 8);
  out.set_u32(key("hyper_connection.sinkhorn_iterations"), 3);
  out.set_f32(key("hyper_connection.epsilon"), 1e-3f);
  out.set_f32(key("hyper_connection.magnitude"), 2.0f);
}

// Rows of four lookups make an embedding.
void set_ngram_keys(GgufWriter& out, const Arch& arch) {
  const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
  out.set_i32_array(key("ple.layers"), std::vector<int32_t>{0});
  out.set_u32(key("ple.ngram_size"), 3);
  out.set_u32(key("ple.heads_per_ngram"), 2);
  out.set_u32(key("ple.conv_kernel"), 3);
  out.set_u32(key("ple.eos_token_id"), 7);  // which the tests' prompts have
  out.set_u32(key("embedding_length_per_layer_input"), kNEmbd / 4);
  out.set_u64_array(key("ple.layer_multipliers"),
                    std::vector<uint64_t>{0x7e3779b97f4a7c15, 0x42b2ae3d27d4eb4f, 11});
  out.set_u64_array(key("ple.head_offsets"), std::vector<uint64_t>{0, 31, 68, 109});
  out.set_u64_array(key("ple.head_vocab_sizes"), std::vector<uint64_t>{31, 37, 41, 43});
}

void set_attention_keys(GgufWriter& out, const Arch& arch) {
  const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
  const auto* attention = arch.find_block<Attention>();
  if (attention != nullptr && attention->indexer.kind == Indexer::Kind::best_block) {
    out.set_u32(key("attention.indexer.head_count"), kNKvHeads);
    out.set_u32(key("attention.indexer.key_length"), 16);
    out.set_u32(key("attention.indexer.top_k"), kNSeen);
    out.set_u32(key("attention.indexer.block_size"), 2);
    out.set_u32(key("attention.indexer.local_blocks"), 1);
  }
  if (attention != nullptr && attention->indexer.kind == Indexer::Kind::mean_block) {
    out.set_u32(key("attention.indexer.head_count"), 16);
    out.set_u32(key("attention.indexer.key_length"), 16);
    out.set_u32(key("attention.indexer.top_k"), kNSeen);
    out.set_u32(key("attention.compress_ratios"), 2);
  }
  if (attention != nullptr && attention->sinks_optional) {
    out.set_f32(key("attention.value_scale"), 0.7f);
  }
}

void set_recurrent_keys(GgufWriter& out, const Arch& arch) {
  const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
  if (arch.find_block<ShortConv>() != nullptr) out.set_u32(key("shortconv.l_cache"), 3);
  if (const auto* scan = arch.find_block<SelectiveScan>()) {
    out.set_u32(key("ssm.conv_kernel"), 4);
    out.set_u32(key("ssm.inner_size"), 2 * kNEmbd);
    out.set_u32(key("ssm.state_size"), 11);
    out.set_u32(key("ssm.time_step_rank"), 8);
    out.set_u32(key("ssm.group_count"), scan->form == SelectiveScan::Form::mamba2 ? 2 : 0);
  }
  if (arch.find_block<GatedDeltaNet>() != nullptr) {
    out.set_u32(key("attention.head_count_kv"), kNKvHeads);  // the interval tells kinds apart
    out.set_u32(key("full_attention_interval"), 2);
    out.set_u32(key("rope.dimension_count"), 8);
    out.set_u32(key("ssm.conv_kernel"), 4);
    out.set_u32(key("ssm.inner_size"), 6 * 12);
    out.set_u32(key("ssm.state_size"), 12);
    out.set_u32(key("ssm.time_step_rank"), 6);
    out.set_u32(key("ssm.group_count"), 2);
  }
  if (const auto* net = arch.find_block<ChannelDeltaNet>()) {
    out.set_u32(key("ssm.conv_kernel"), 4);
    out.set_u32(key("kda.head_dim"), 12);
    if (net->bound != ChannelDeltaNet::Bound::never)
      out.set_f32(key("kda.gate_lower_bound"), -3.0f);
  }
  if (arch.find_block<LightningAttention>() != nullptr) {
    out.set_u32(key("attention.head_count_kv"), kNKvHeads);
    out.set_u32(key("full_attention_interval"), 2);
  }
}

void set_expert_keys(GgufWriter& out, const Arch& arch) {
  const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
  const FeedForward* ffn = arch.find_experts();
  if (ffn == nullptr || ffn->experts.left_out) return;
  out.set_u32(key("expert_count"), 4);
  out.set_u32(key("expert_used_count"), 2);
  out.set_u32(key("expert_feed_forward_length"), kNFf);
  if (arch.other_layers.size() > 1) {
    out.set_i32_array(key("expert_used_count"), std::vector<int32_t>{0, 0, 2, 3});
    out.set_i32_array(key("expert_feed_forward_length"), std::vector<int32_t>{0, 0, kNFf, 40});
  }
  out.set_f32(key("expert_weights_scale"), 1.25f);
  out.set_bool(key("expert_weights_norm"), true);
  const bool is_compressed = arch.find_block<CompressedAttention>() != nullptr;
  out.set_u32(key("expert_gating_func"), is_compressed ? 4 : 2);
  if (ffn->experts.layers != ExpertLayers::all) out.set_u32(key("leading_dense_block_count"), 1);
  if (ffn->experts.layers == ExpertLayers::interleaved) {
    out.set_u32(key("interleave_moe_layer_step"), 1);
  }
  if (ffn->experts.latent) out.set_u32(key("expert_latent_length"), kNEmbd / 2);
  if (ffn->experts.layers == ExpertLayers::every_step) {
    out.set_u32(key("interleave_moe_layer_step"), 2);
  }
  if (ffn->experts.adjugate) {
    out.set_u32(key("experts_per_group"), 2);
    out.set_u32(key("expert_chunk_feed_forward_length"), 24);
    out.set_f32(key("expert_group_scale"), 0.6f);
  }
  if (ffn->experts.clamp_key) out.set_f32(key("swiglu_clamp_exp"), 0.5f);
  if (ffn->experts.clamp_shared) out.set_f32(key("swiglu_clamp_shexp"), 0.4f);
  if (ffn->experts.shared) {
    out.set_u32(key("expert_shared_count"), 1);
    out.set_u32(key("expert_shared_feed_forward_length"), kNFf);
  }
}

// Keys that several architectures share; each reads what it knows.
void set_keys(GgufWriter& out, const Arch& arch) {
  const auto key = [&](const char* name) { return std::string(arch.name) + "." + name; };
  out.set_string("general.architecture", arch.name);
  // So that one does not rotate.
  out.set_u32(key("block_count"), static_cast<uint32_t>(std::max(2, arch.no_rope_period)));
  if (arch.cycles) {
    out.set_u32(key("block_count"), 6);
    out.set_u32(key("hrm.layers_per_stack"), 1);
    out.set_u32(key("hrm.h_cycles"), 2);
    out.set_u32(key("hrm.l_cycles"), 2);
  }
  out.set_u32(key("context_length"), kNCtx);
  out.set_u32(key("embedding_length"), kNEmbd);
  out.set_u32(key("feed_forward_length"), kNFf);
  out.set_u32(key("attention.head_count"), kNHeads);
  const auto* own_keys =
      arch.find_block<Attention>([](const Attention& attention) { return !attention.grouped; });
  out.set_u32(key("attention.head_count_kv"), own_keys == nullptr ? kNKvHeads : kNHeads);
  if (const auto* latent = std::get_if<LatentAttention>(&arch.layer[0].block)) {
    set_latent_keys(out, arch, *latent);
  }
  if (arch.find_block<CompressedAttention>() != nullptr) set_compressed_keys(out, arch);
  if (arch.hyper != Arch::Hyper::none) set_hyper_keys(out, arch);
  if (arch.ngrams) set_ngram_keys(out, arch);
  out.set_f32(key("attention.layer_norm_rms_epsilon"), 1e-5f);
  out.set_f32(key("attention.layer_norm_epsilon"), 1e-5f);
  const bool by_sections = arch.rope == RopeStyle::multi || arch.rope == RopeStyle::interleaved;
  if (by_sections) {
    out.set_i32_array(key("rope.dimension_sections"), std::vector<int32_t>{3, 3, 2, 0});
  }
  if (arch.window.period != 0) out.set_u32(key("attention.sliding_window"), 8);
  if (arch.window.period == 1 || arch.window.needs_pattern) {
    out.set_i32_array(key("attention.sliding_window_pattern"), std::vector<int32_t>{1, 0});
  }
  if (arch.logit_scale.key != nullptr) out.set_f32(key("logit_scale"), 0.75f);
  if (arch.residual_scale.key != nullptr) out.set_f32(key("residual_scale"), 0.6f);
  if (arch.embedding_scale.key != nullptr) out.set_f32(key("embedding_scale"), 3.0f);
  if (arch.attention_scale_key) out.set_f32(key("attention.scale"), 0.3f);
  if (arch.residual_checkpoints) {
    out.set_u32(key("attn_res.block_size"), 2);
    out.set_f32(key("activation.situ_beta"), 2.0f);
    out.set_f32(key("activation.situ_linear_beta"), 3.0f);
  }
  if (arch.final_softcap) out.set_f32(key("final_logit_softcapping"), 20.0f);
  if (arch.attn_softcap) out.set_f32(key("attn_logit_softcapping"), 25.0f);
  if (arch.alibi_key) out.set_f32(key("attention.max_alibi_bias"), 8.0f);
  if (arch.clamp_key) out.set_f32(key("attention.clamp_kqv"), 1.5f);
  if (arch.parallel_key) out.set_bool(key("use_parallel_residual"), true);
  if (arch.choose_kinds != nullptr) {  // recurrent, with attention, the third kind or the first
    out.set_u32(key("block_count"), 3);
    const bool has_rows = std::holds_alternative<LatentAttention>(arch.layer[0].block);
    const int32_t n_kv_heads = has_rows ? 1 : kNKvHeads;
    std::vector<int32_t> n_kv = {0, n_kv_heads, 0};
    if (arch.other_layers.size() > 1) {  // two of the third, with lengths of their own
      out.set_u32(key("block_count"), 4);
      n_kv.push_back(0);
      out.set_i32_array(key("feed_forward_length"), std::vector<int32_t>{0, 0, kNFf, kNFf});
    }
    out.set_i32_array(key("attention.head_count_kv"), n_kv);
  }
  set_attention_keys(out, arch);
  set_recurrent_keys(out, arch);
  set_expert_keys(out, arch);
}

// A name of the role in files that llama.cpp takes for this architecture, or none of both names.
bool is_left_out(const Arch& arch, const TensorSpec& spec) {
  if (spec.role == Role::rope_factors_long || spec.role == Role::rope_factors_short) return true;
  if (spec.role == Role::output && arch.tied_output) return true;
  // Norms that only large models of the family have.
  if ((spec.role == Role::attn_q_norm || spec.role == Role::attn_k_norm) && !spec.required) {
    return true;
  }
  // Phi-3 and MiniCPM3 divide by the other two alone.
  if (spec.role == Role::rope_freqs) {
    return !arch.rope_factors || arch.scaled_queries || arch.name == "minicpm3";
  }
  // Two names of one norm.
  return arch.has_branch([&](const Branch& branch) {
    return branch.post_norm_instead == spec.role && spec.role != Role::none;
  });
}

class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed) {}

  // Wide enough in Q and K that rotation, scale and eps matter.
  std::vector<float> values(const TensorSpec& spec) {
    size_t n = 1;
    for (const int64_t size : spec.shape) n *= size != 0 ? static_cast<size_t>(size) : 1;
    const bool is_query_or_key =
        spec.role == Role::attn_q || spec.role == Role::attn_k || spec.role == Role::attn_qkv;
    const float gain = is_query_or_key ? 2.0f : 1.0f;
    const float deviation = gain / std::sqrt(static_cast<float>(spec.shape[0]));
    if (spec.role == Role::token_embd) return normal(n, 0, 1);
    if (spec.role == Role::position_embd) return normal(n, 0, 0.5f);
    if (spec.role == Role::rope_freqs) return uniform(n, 1, 3);
    if (spec.role == Role::ssm_a) return uniform(n, -1.5f, -0.5f);
    if (spec.has_rows) return normal(n, 0, 0.5f);
    if (spec.role == Role::exp_probs_b) return normal(n, 0, 0.2f);
    return spec.is_linear ? normal(n, 0, deviation) : uniform(n, 0.5f, 1.5f);
  }
  std::vector<float> bias(const TensorSpec& spec) {
    const size_t first = spec.is_linear || spec.has_rows ? 1 : 0;
    size_t n = 1;
    for (size_t i = first; i < spec.shape.size(); ++i) {
      n *= spec.shape[i] != 0 ? static_cast<size_t>(spec.shape[i]) : 1;
    }
    return normal(n, 0, 0.1f);
  }

 private:
  std::vector<float> normal(size_t n, float mean, float deviation) {
    std::normal_distribution<float> draw(mean, deviation);
    std::vector<float> out(n);
    for (float& x : out) x = draw(random_);
    return out;
  }
  std::vector<float> uniform(size_t n, float low, float high) {
    std::uniform_real_distribution<float> draw(low, high);
    std::vector<float> out(n);
    for (float& x : out) x = draw(random_);
    return out;
  }

  std::mt19937_64 random_;
};

// Each token's, of whom none comes twice.
std::vector<int32_t> experts_of_tokens(int64_t n_used, int64_t n_tokens, int n_experts) {
  std::vector<int32_t> out;
  for (int64_t token = 0; token < n_tokens; ++token) {
    for (int64_t rank = 0; rank < n_used; ++rank)
      out.push_back(static_cast<int32_t>((token * 3 + rank) % n_experts));
  }
  return out;
}

}  // namespace

void write_arch_model(const std::string& path, const Arch& arch, uint64_t seed) {
  GgufWriter out;
  set_keys(out, arch);
  const int n_vocab = set_tiny_vocabulary(out, TinyVocabulary::gpt2, false);
  // Its keys alone, so that they are read as from any file; with a tensor that others follow from.
  const TempDir dir;
  GgufWriter keys_alone = out;
  if (arch.name == "jamba" || arch.name == "mimo2") {
    keys_alone.add_tensor("blk.1.ffn_gate_inp.weight", GgmlType::F32, {1},
                          [] { return std::vector<std::byte>(sizeof(float)); });
  }
  keys_alone.write(dir.file("keys.gguf"));
  const auto keys = ModelFile::open(dir.file("keys.gguf"));
  Config config = read_config(*keys, arch);
  config.n_vocab = n_vocab;
  Maker maker(seed);
  std::vector<std::unique_ptr<std::vector<float>>> kept;
  const auto add = [&](const std::string& name, const std::vector<int64_t>& shape,
                       std::vector<float> values) {
    kept.push_back(std::make_unique<std::vector<float>>(std::move(values)));
    out.add_tensor(name, GgmlType::F32, shape, std::as_bytes(std::span(*kept.back())));
  };
  std::vector<int32_t> table;   // one layer has it
  std::set<std::string> names;  // layers may share their tensors
  for (const TensorSpec& spec : tensors_of(*keys, arch, config)) {
    if (is_left_out(arch, spec) || !names.insert(spec.name()).second) continue;
    std::vector<int64_t> shape;
    for (const int64_t n : spec.shape) {
      if (n != 0) shape.push_back(n);
    }
    if (spec.is_table) {
      table = experts_of_tokens(shape[0], shape[1], config.experts.n_experts);
      out.add_tensor(spec.name(), GgmlType::I32, shape, std::as_bytes(std::span(table)));
      continue;
    }
    add(spec.name(), shape, maker.values(spec));
    if (!spec.needs_bias) continue;
    const std::vector<int64_t> rest(shape.begin() + (spec.is_linear || spec.has_rows ? 1 : 0),
                                    shape.end());
    add(spec.stem() + ".bias", rest, maker.bias(spec));
  }
  out.write(path);
}

}  // namespace crossval::testing
