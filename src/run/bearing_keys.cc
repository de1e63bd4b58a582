#include "run/bearing_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "arch/archs.h"

namespace crossval {
namespace {

// A key below the architecture's name that engines compute with, and what they take where the file
// has none: a value, "@other" for that of another key, "" for nothing in particular. Names:
// llama.cpp v0.5.0, src/llama-arch.cpp, and three of gguf-py's constants.py that it does not read
// itself (altup.*, activation_sparsity_scale). Defaults: src/llama-hparams.h, and `load_hparams` of
// src/llama-model.cpp for rope.
struct BearingKey {
  std::string_view name, otherwise;
};
constexpr auto kBearingKeys = std::to_array<BearingKey>({
    {"block_count", ""},
    {"embedding_length", ""},
    {"feed_forward_length", ""},
    {"leading_dense_block_count", "0"},
    {"expert_feed_forward_length", ""},
    {"expert_shared_feed_forward_length", ""},
    {"expert_chunk_feed_forward_length", ""},
    {"use_parallel_residual", ""},
    {"expert_count", "0"},
    {"expert_used_count", "0"},
    {"expert_shared_count", "0"},
    {"expert_group_count", "0"},
    {"expert_group_used_count", "0"},
    {"expert_group_scale", ""},
    {"expert_weights_scale", "0"},
    {"expert_weights_norm", "0"},
    {"expert_gating_func", ""},
    {"experts_per_group", ""},
    {"moe_every_n_layers", ""},
    {"interleave_moe_layer_step", ""},
    {"moe_latent_size", ""},
    {"nextn_predict_layers", "0"},
    {"logit_scale", "0"},
    {"embedding_scale", "0"},
    {"residual_scale", "0"},
    {"token_shift_count", ""},
    {"rescale_every_n_layers", ""},
    {"time_mix_extra_dim", ""},
    {"time_decay_extra_dim", ""},
    {"decoder_start_token_id", ""},
    {"decoder_block_count", ""},
    {"router_logit_softcapping", ""},
    {"swin_norm", ""},
    {"swiglu_clamp_exp", ""},
    {"swiglu_clamp_shexp", ""},
    {"embedding_length_per_layer_input", ""},
    {"activation_sparsity_scale", ""},
    {"altup.active_idx", ""},
    {"altup.num_inputs", ""},
    {"shortconv.l_cache", ""},
    {"full_attention_interval", ""},
    {"attention.head_count", ""},
    {"attention.head_count_kv", "@attention.head_count"},
    {"attention.key_length", "@width"},
    {"attention.value_length", "@width"},
    {"attention.key_length_mla", ""},
    {"attention.value_length_mla", ""},
    {"attention.key_length_swa", ""},
    {"attention.value_length_swa", ""},
    {"attention.layer_norm_epsilon", ""},
    {"attention.layer_norm_rms_epsilon", ""},
    {"attention.group_norm_epsilon", ""},
    {"attention.group_norm_groups", ""},
    {"attention.causal", "1"},
    {"attention.q_lora_rank", ""},
    {"attention.kv_lora_rank", ""},
    {"attention.decay_lora_rank", ""},
    {"attention.iclr_lora_rank", ""},
    {"attention.value_residual_mix_lora_rank", ""},
    {"attention.gate_lora_rank", ""},
    {"attention.relative_buckets_count", ""},
    {"attention.sliding_window", "0"},
    {"attention.sliding_window_pattern", ""},
    {"attention.scale", "0"},
    {"attention.output_scale", ""},
    {"attention.value_scale", ""},
    {"attention.temperature_length", ""},
    {"attention.temperature_scale", ""},
    {"attention.clamp_kqv", "0"},
    {"attention.max_alibi_bias", "0"},
    {"attention.shared_kv_layers", ""},
    {"attention.recurrent_layers", ""},
    {"attention.indexer.head_count", ""},
    {"attention.indexer.key_length", ""},
    {"attention.indexer.top_k", ""},
    {"rope.dimension_count", "@attention.key_length"},
    {"rope.dimension_count_swa", ""},
    {"rope.dimension_sections", ""},
    {"rope.freq_base", "10000"},
    {"rope.freq_base_swa", ""},
    {"rope.scale_linear", "0"},
    {"rope.scaling.type", "linear"},
    {"rope.scaling.factor", "0"},
    {"rope.scaling.attn_factor", "1"},
    {"rope.scaling.alpha", ""},
    {"rope.scaling.original_context_length", "@context_length"},
    {"rope.scaling.yarn_log_multiplier", "0"},
    {"rope.scaling.yarn_ext_factor", ""},
    {"rope.scaling.yarn_attn_factor", "1"},
    {"rope.scaling.yarn_beta_fast", "32"},
    {"rope.scaling.yarn_beta_slow", "1"},
    {"embedding_length_out", ""},
    {"attn_res.block_size", ""},
    {"activation.situ_beta", ""},
    {"activation.situ_linear_beta", ""},
    {"expert_latent_length", ""},
    {"n_deepstack_layers", ""},
    {"deepstack_mapping", ""},
    {"hidden_activation", ""},
    {"adapters.count", ""},
    {"adapters.token_ids_activate", ""},
    {"adapters.token_ids_substitute", ""},
    {"adapters.lora_rank", ""},
    {"adapters.router_gain", ""},
    {"num_loops", ""},
    {"skip_loop_final_norm", ""},
    {"hrm.layers_per_stack", ""},
    {"hrm.h_cycles", ""},
    {"hrm.l_cycles", ""},
    {"hrm.prefix_lm", ""},
    {"attention.rope_pattern", ""},
    {"attention.key_length_mla_swa", ""},
    {"attention.value_length_mla_swa", ""},
    {"attention.kv_lora_rank_swa", ""},
    {"attention.indexer.block_size", ""},
    {"attention.indexer.local_blocks", ""},
    {"attention.indexer.types", ""},
    {"attention.output_group_count", ""},
    {"attention.output_lora_rank", ""},
    {"attention.compress_rope_freq_base", ""},
    {"attention.compress_ratios", ""},
    {"hyper_connection.count", ""},
    {"hyper_connection.sinkhorn_iterations", ""},
    {"hyper_connection.epsilon", ""},
    {"hyper_connection.magnitude", ""},
    {"hyper_connection.low_rank", ""},
    {"ple.layers", ""},
    {"ple.ngram_size", ""},
    {"ple.heads_per_ngram", ""},
    {"ple.conv_kernel", ""},
    {"ple.layer_multipliers", ""},
    {"ple.head_offsets", ""},
    {"ple.head_vocab_sizes", ""},
    {"ple.eos_token_id", ""},
    {"ple.image_token_id", ""},
    {"hash_layer_count", ""},
    {"ssm.conv_kernel", ""},
    {"ssm.inner_size", ""},
    {"ssm.state_size", ""},
    {"ssm.time_step_rank", ""},
    {"ssm.group_count", ""},
    {"ssm.dt_b_c_rms", ""},
    {"kda.head_dim", ""},
    {"kda.safe_gate", ""},
    {"kda.gate_lower_bound", ""},
    {"wkv.head_size", ""},
    {"posnet.embedding_length", ""},
    {"posnet.block_count", ""},
    {"convnext.embedding_length", ""},
    {"convnext.block_count", ""},
    {"target_layers", ""},
    {"target_hidden_size", ""},
    {"norm_before_residual", ""},
    {"norm_before_fc", ""},
    {"block_size", ""},
    {"conv_kernel_size", ""},
    {"conv_group_size", ""},
    {"selector_rank", ""},
    {"selector_top_k", ""},
    {"dense_2_feat_in", ""},
    {"dense_2_feat_out", ""},
    {"dense_3_feat_in", ""},
    {"dense_3_feat_out", ""},
});

// Without scaling by YaRN or LongRoPE nothing asks how long the original context was.
constexpr auto kScalingDetails = std::to_array<std::string_view>(
    {"rope.scaling.original_context_length", "rope.scaling.yarn_log_multiplier",
     "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast",
     "rope.scaling.yarn_beta_slow"});

// Whether the architecture reads soft caps, or may: the others leave a stray key alone.
bool may_read_softcaps(std::string_view name) {
  const Arch* arch = find_arch(name);
  return arch == nullptr || arch->attn_softcap || arch->final_softcap;
}

template <typename T>
std::string element_text(const T& element) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return std::string(element);
  } else {
    return metadata_number(static_cast<double>(element));
  }
}

// What engines compute with: a list of one value repeated is that value, a flag is 0 or 1.
std::string plain_text(const MetaValue& value) {
  std::vector<std::string> elements;
  std::visit(
      [&](const auto& v) {
        if constexpr (requires { v.size(); } &&
                      !std::is_same_v<std::decay_t<decltype(v)>, std::string_view>) {
          for (const auto& element : v) {
            using Element = typename std::decay_t<decltype(v)>::value_type;
            elements.push_back(element_text<Element>(element));
          }
        } else {
          elements.push_back(element_text(v));
        }
      },
      value.value);
  if (elements.empty()) return "[]";
  const bool is_one = std::ranges::all_of(
      elements, [&](const std::string& element) { return element == elements.front(); });
  return is_one ? elements.front() : fmt::format("[{}]", fmt::join(elements, ", "));
}

class Effective {
 public:
  explicit Effective(const ModelFile& model) : model_(model), prefix_(model.architecture() + ".") {}

  std::string of(std::string_view name) const {
    if (const MetaValue* value = model_.find(prefix_ + std::string(name))) {
      std::string text = plain_text(*value);
      const bool is_neutral =
          (text == "none" && name == "rope.scaling.type" && !scales()) ||
          (text == "1" && (name == "rope.scaling.factor" || name == "expert_weights_scale"));
      return is_neutral ? otherwise(name) : text;
    }
    return otherwise(name);
  }
  bool scales() const {
    const MetaValue* factor = model_.find(prefix_ + "rope.scaling.factor");
    return factor != nullptr && plain_text(*factor) != "0" && plain_text(*factor) != "1";
  }
  bool has_scaling_details() const {
    const MetaValue* type = model_.find(prefix_ + "rope.scaling.type");
    return type != nullptr && plain_text(*type) != "none" && plain_text(*type) != "linear";
  }

 private:
  std::string otherwise(std::string_view name) const {
    if (name == "attn_logit_softcapping") return prefix_ == "gemma2." ? "50" : "0";
    if (name == "final_logit_softcapping") return prefix_ == "gemma2." ? "30" : "0";
    const auto* const row = std::find_if(kBearingKeys.begin(), kBearingKeys.end(),
                                         [&](const BearingKey& key) { return key.name == name; });
    if (row == kBearingKeys.end()) {
      const MetaValue* value = model_.find(prefix_ + std::string(name));
      return value == nullptr ? "" : plain_text(*value);
    }
    if (row->otherwise == "@width") return head_width();
    return row->otherwise.starts_with("@") ? of(row->otherwise.substr(1))
                                           : std::string(row->otherwise);
  }
  std::string head_width() const {
    const std::string width = of("embedding_length"), heads = of("attention.head_count");
    const auto whole = [](const std::string& text) {
      return !text.empty() && text.size() < 10 &&
                     text.find_first_not_of("0123456789") == std::string::npos
                 ? std::stoll(text)
                 : 0;
    };
    return whole(heads) > 0 ? std::to_string(whole(width) / whole(heads)) : "";
  }

  const ModelFile& model_;
  std::string prefix_;
};

}  // namespace

std::string metadata_number(double value) { return fmt::format("{:.9g}", value); }

bool key_bears(std::string_view key, const ModelFile& engine, const ModelFile& backend) {
  // Apertus' activation, whose keys stand without the architecture's name (llama-arch.cpp).
  if (key == "general.architecture" || key.starts_with("xielu.")) return true;
  const std::string arch = engine.architecture();
  if (arch != backend.architecture()) return false;  // said by that key
  if (!key.starts_with(arch + ".")) return false;
  const std::string_view name = key.substr(arch.size() + 1);
  const Effective ours(engine), theirs(backend);
  if (name.ends_with("_logit_softcapping") && !name.starts_with("router")) {
    return may_read_softcaps(arch) && ours.of(name) != theirs.of(name);
  }
  const bool is_detail =
      std::find(kScalingDetails.begin(), kScalingDetails.end(), name) != kScalingDetails.end();
  const bool has_details = ours.has_scaling_details() || theirs.has_scaling_details();
  if (name == "context_length") {
    constexpr std::string_view original = "rope.scaling.original_context_length";
    return has_details && ours.of(original) != theirs.of(original);
  }
  if (is_detail && !has_details) return false;
  const bool is_known = std::any_of(kBearingKeys.begin(), kBearingKeys.end(),
                                    [&](const BearingKey& row) { return row.name == name; });
  return is_known && ours.of(name) != theirs.of(name);
}

}  // namespace crossval
