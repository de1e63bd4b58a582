#include "arch/checkpoint_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <string_view>

#include "arch/checkpoint_config.h"

namespace crossval {
namespace {

using nlohmann::json;

// Keys that stand in both, under other names. `fallback` is JSON; "null": see ExpectedKey.
struct KeyRow {
  const char* key;
  const char* paths;
  const char* fallback = "null";
};

constexpr KeyRow kRows[] = {
    {"embedding_length", "hidden_size|n_embd|d_model|dim"},
    {"attention.head_count", "num_attention_heads|n_head|n_heads"},
    {"attention.q_lora_rank", "q_lora_rank", "0"},
    {"attention.kv_lora_rank", "kv_lora_rank"},
    {"attention.value_length_mla", "v_head_dim"},
    {"attention.clamp_kqv", "clip_qkv|attn_config.clip_qkv", "0"},
    {"attention.scale", "attention_multiplier", "0"},
    {"embedding_scale", "embedding_multiplier|scale_emb", "1"},
    {"residual_scale", "residual_multiplier", "1"},
    {"logit_scale", "logits_scaling|logit_scale", "1"},
    {"use_parallel_residual", "use_parallel_residual", "true"},
    {"expert_count",
     "num_local_experts|num_experts|n_routed_experts|moe_num_experts|ffn_config.moe_num_experts"},
    {"expert_used_count",
     "num_experts_per_tok|num_experts_per_token|top_k_experts|moe_k|ffn_config.moe_top_k"},
    {"expert_weights_scale", "routed_scaling_factor|route_scale", "1"},
    {"expert_weights_norm", "norm_topk_prob|route_norm", "false"},
    {"expert_feed_forward_length", "moe_intermediate_size|intermediate_size"},
    {"expert_shared_count", "n_shared_experts|num_shared_experts|moe_num_shared_experts"},
    {"leading_dense_block_count", "first_k_dense_replace|num_dense_layers|moe_layer_start_index",
     "0"},
    {"interleave_moe_layer_step", "interleave_moe_layer_step|moe_layer_interval", "1"},
    {"nextn_predict_layers", "num_nextn_predict_layers"},
    {"ssm.conv_kernel", "conv_kernel|mamba_d_conv|linear_conv_kernel_dim|d_conv"},
    {"ssm.state_size", "state_size|mamba_d_state|linear_key_head_dim|d_state"},
    {"ssm.group_count", "n_groups|mamba_n_groups|linear_num_key_heads"},
    {"ssm.time_step_rank",
     "mamba_n_heads|num_heads|linear_num_value_heads|mamba_dt_rank|time_step_rank"},
    {"shortconv.l_cache", "conv_L_cache"},
};

class Expectations {
 public:
  Expectations(const Arch& arch, const Config& config, const CheckpointFacts& facts)
      : arch_(arch), config_(config), hf_(facts.config), row_(find_checkpoint_row(arch.name)) {}

  std::vector<ExpectedKey> all() {
    for (const KeyRow& row : kRows) {
      const ConfigValue found = find_value(hf_, row.paths);
      if (!found || found.value.is_string() || found.value.is_array()) continue;
      add(row.key, found.value, found.path, reads(row.key) ? json::parse(row.fallback) : json());
    }
    counts();
    feed_forward();
    heads();
    lengths();
    eps();
    experts();
    rope();
    scaling();
    windows();
    recurrent();
    return std::move(out_);
  }

 private:
  void add(const char* key, json expected, std::string from, json fallback = {}, json also = {}) {
    out_.push_back(
        {key, std::move(expected), std::move(from), std::move(fallback), std::move(also)});
  }
  // Whether engines look for the key of a factor and take something else where it is missing.
  bool reads(std::string_view key) const {
    if (key == "embedding_scale") return arch_.embedding_scale.key != nullptr;
    if (key == "residual_scale") return arch_.residual_scale.key != nullptr;
    if (key == "logit_scale") return arch_.logit_scale.key != nullptr;
    if (key == "attention.scale") return arch_.attention_scale_key;
    if (key == "attention.clamp_kqv") return arch_.clamp_key;
    if (key == "use_parallel_residual") return arch_.parallel_key;
    const FeedForward* ffn = arch_.find_experts();
    const bool has_experts = ffn != nullptr && config_.experts.n_experts > 0;
    if (key == "expert_weights_norm") {
      return has_experts && ffn->experts.weights_norm == Experts::Norm::key;
    }
    if (key == "expert_weights_scale") return has_experts && ffn->experts.scale_key;
    if (key == "leading_dense_block_count" || key == "interleave_moe_layer_step")
      return has_experts;
    return true;
  }
  std::optional<int64_t> integer(std::string_view paths) const {
    const auto value = find_number(hf_, paths);
    return value ? whole(*value) : std::nullopt;
  }
  bool is_latent() const { return arch_.find_block<LatentAttention>() != nullptr; }
  bool has_attention() const { return arch_.has_branch(is_attention); }
  std::optional<int64_t> width() const { return integer("hidden_size|n_embd|d_model|dim"); }
  // Of a head of keys; the head_dim of Mamba 2 is another one.
  std::optional<int64_t> head_dim() const {
    if (!has_attention()) return {};
    if (const auto own = integer("head_dim")) return own;
    const auto n_embd = width(), n_heads = integer("num_attention_heads|n_head|n_heads");
    if (!n_embd || !n_heads || *n_heads < 1) return {};
    return *n_embd / *n_heads;
  }

  void counts();
  void feed_forward();
  void heads();
  void lengths();
  void eps();
  void experts();
  void rope();
  void scaling();
  void windows();
  void recurrent();

  const Arch& arch_;
  const Config& config_;
  const json& hf_;
  const CheckpointRow* row_;
  std::vector<ExpectedKey> out_;
};

void Expectations::counts() {
  if (const auto n = integer("num_hidden_layers|n_layers|n_layer|num_layers")) {
    // Layers that predict further tokens may stand behind the others.
    add("block_count", *n, "num_hidden_layers", {},
        *n + find_number(hf_, "num_nextn_predict_layers").value_or(0));
  }
  const ConfigValue context = find_value(
      hf_, "max_position_embeddings|n_ctx|n_positions|max_seq_len|max_sequence_length|seq_length");
  const bool has_own = row_ != nullptr && row_->context != 0;
  if (context.is_number()) {
    add("context_length", context.value, context.path, {}, has_own ? json(row_->context) : json());
  } else if (has_own) {
    add("context_length", row_->context, "what converters write for it");
  }
  if (const auto n = integer("vocab_size")) {
    add("vocab_size", *n, "vocab_size", {}, config_.n_vocab);
  }
  // MiniCPM's (minicpm.py).
  const auto depth = find_number(hf_, "scale_depth"), base = find_number(hf_, "dim_model_base");
  if (depth && config_.n_layers > 0) {
    add("residual_scale", *depth / std::sqrt(config_.n_layers), "scale_depth", 1);
  }
  if (base && *base > 0 && width()) {
    add("logit_scale", static_cast<double>(*width()) / *base, "dim_model_base", 1);
  }
}

void Expectations::feed_forward() {
  if (arch_.find_block<FeedForward>() == nullptr) {
    add("feed_forward_length", 0, "no layer has such a part");
    return;
  }
  const ConfigValue found =
      find_value(hf_,
                 "intermediate_size_mlp|ffn_hidden_size|intermediate_size|n_inner|block_ff_dim|"
                 "ffn_config.ffn_hidden_size");
  if (!found.is_number()) {
    if (width()) add("feed_forward_length", 4 * *width(), "four times the width");
    return;
  }
  const auto multiple = integer("block_multiple_of");
  const ConfigValue adjusts = find_value(hf_, "block_auto_adjust_ff_dim");
  if (!multiple || *multiple < 1 || (adjusts && adjusts.value == false)) {
    add("feed_forward_length", found.value, found.path);
    return;
  }
  // LFM2's (lfm2.py _add_feed_forward_length).
  const double factor = find_number(hf_, "block_ffn_dim_multiplier").value_or(1);
  const auto part = whole(2 * found.value.get<double>() / 3);
  const auto n = part ? whole(factor * static_cast<double>(*part)) : part;
  if (n) {
    add("feed_forward_length", (*n + *multiple - 1) / *multiple * *multiple, found.path);
  }
}

void Expectations::heads() {
  if (!has_attention()) return add("attention.head_count", 0, "no layer has heads");
  const auto n_heads = integer("num_attention_heads|n_head|n_heads");
  auto n_kv = integer("num_key_value_heads|n_kv_heads|num_kv_heads|attn_config.kv_n_heads");
  std::string from = find_value(hf_,
                                "num_key_value_heads|n_kv_heads|num_kv_heads|"
                                "attn_config.kv_n_heads")
                         .path;
  // Falcon's old architecture shares one head, or none (falcon.py).
  const ConfigValue is_new = find_value(hf_, "new_decoder_architecture");
  const ConfigValue shares = find_value(hf_, "multi_query");
  if (shares && (!is_new || is_new.value == false)) {
    n_kv = shares.value == true ? std::optional<int64_t>(1) : n_heads;
    from = "multi_query";
  }
  // Where the latent row stands for all of them, there is one.
  if (is_latent()) {
    return add("attention.head_count_kv", 1, "one latent row", {}, n_kv ? json(*n_kv) : json());
  }
  if (!n_kv) {
    if (n_heads) add("attention.head_count_kv", *n_heads, "as many as heads", *n_heads);
    return;
  }
  const json fallback = n_heads ? json(*n_heads) : json();
  const std::vector<bool> attends = layers_with_attention(hf_, config_.n_layers);
  const bool is_hybrid = arch_.has_branch(is_recurrent) && !attends.empty();
  json each = json::array();
  for (size_t i = 0; is_hybrid && i < attends.size(); ++i) each.push_back(attends[i] ? *n_kv : 0);
  if (is_hybrid) {
    // Some architectures say in other keys which layers attend.
    add("attention.head_count_kv", std::move(each), from, fallback, *n_kv);
  } else {
    add("attention.head_count_kv", *n_kv, from, fallback);
  }
}

void Expectations::lengths() {
  if (is_latent()) {
    const auto rank = integer("kv_lora_rank"), turned = integer("qk_rope_head_dim");
    const auto plain = integer("qk_nope_head_dim"), value = integer("v_head_dim");
    if (rank && turned && plain) {
      add("attention.key_length", *rank + *turned, "kv_lora_rank + qk_rope_head_dim", {},
          *plain + *turned);
      add("attention.key_length_mla", *plain + *turned, "qk_nope_head_dim + qk_rope_head_dim");
    }
    if (rank && value) add("attention.value_length", *rank, "kv_lora_rank", {}, *value);
    return;
  }
  const auto length = head_dim();
  if (!length) return;
  const std::string from = integer("head_dim") ? "head_dim" : "the width over the heads";
  const auto n_embd = width(), n_heads = integer("num_attention_heads|n_head|n_heads");
  const json fallback = n_embd && n_heads && *n_heads > 0 ? json(*n_embd / *n_heads) : json();
  add("attention.key_length", *length, from, fallback);
  add("attention.value_length", *length, from, fallback);
}

void Expectations::eps() {
  const ConfigValue rms =
      find_value(hf_, "rms_norm_eps|norm_eps|layer_norm_epsilon|layer_norm_eps");
  const ConfigValue layer =
      find_value(hf_, "layer_norm_eps|layer_norm_epsilon|norm_epsilon|norm_eps|rms_norm_eps");
  if (rms.is_number()) add("attention.layer_norm_rms_epsilon", rms.value, rms.path);
  if (layer.is_number()) {
    add("attention.layer_norm_epsilon", layer.value, layer.path);
  } else if (arch_.norm == NormKind::layer) {
    add("attention.layer_norm_epsilon", 1e-5, "PyTorch's default");
  }
}

void Expectations::experts() {
  if (config_.experts.n_experts == 0) return;
  for (const auto& [key, path] : {std::pair{"expert_group_count", "n_group"},
                                  std::pair{"expert_group_used_count", "topk_group"}}) {
    // No groups and one group are the same.
    if (const auto n = integer(path)) add(key, *n, path, *n == 1 ? json(1) : json(0));
  }
  if (row_ != nullptr && row_->gating != 0) {
    add("expert_gating_func", row_->gating, "what converters write for it");
  }
  const ConfigValue gating =
      find_value(hf_,
                 "score_function|scoring_func|score_func|moe_router_activation|"
                 "moe_router_activation_func|expert_selection_fn");
  if (gating.value.is_string()) {
    const std::string name = gating.value.get<std::string>();
    const int number = name == "softmax"        ? 1
                       : name == "sigmoid"      ? 2
                       : name == "sqrtsoftplus" ? 4
                                                : 0;
    const int taken = config_.experts.gating == Gating::sigmoid ? 2 : 1;
    if (number != 0) add("expert_gating_func", number, gating.path, taken);
  }
  const auto shared = integer("shared_expert_intermediate_size|shared_intermediate_size");
  const auto one = integer("moe_intermediate_size");
  const auto n_shared = integer("n_shared_experts|num_shared_experts|moe_num_shared_experts");
  if (shared) {
    add("expert_shared_feed_forward_length", *shared, "shared_expert_intermediate_size");
  } else if (one && n_shared) {
    add("expert_shared_feed_forward_length", *one * *n_shared, "moe_intermediate_size");
  }
}

void Expectations::rope() {
  if (arch_.rope == RopeStyle::none) return;
  ConfigValue base = find_rope_value(hf_, "rope_theta");
  if (!base) {
    base = find_value(hf_, "rope_theta|global_rope_theta|rotary_emb_base|attn_config.rope_theta");
  }
  if (base.is_number()) add("rope.freq_base", base.value, base.path, 10000);
  const ConfigValue window =
      find_value(hf_,
                 "rope_parameters.sliding_attention.rope_theta|rope_local_base_freq|"
                 "local_rope_theta|swa_rope_theta");
  if (window.is_number() && config_.window_len != 0) {
    add("rope.freq_base_swa", window.value, window.path, config_.window_rope.freq_base);
  }
  if (const auto n = integer("qk_rope_head_dim|rotary_dim|attn_rotary_emb")) {
    add("rope.dimension_count", *n,
        find_value(hf_, "qk_rope_head_dim|rotary_dim|attn_rotary_emb").path, config_.head_dim);
    return;
  }
  ConfigValue part = find_rope_value(hf_, "partial_rotary_factor");
  if (!part) part = find_value(hf_, "partial_rotary_factor|rotary_pct|rope_pct|rope_percent");
  const auto length = head_dim();
  if (!length) return;
  const double factor = part.is_number() ? part.value.get<double>() : 1;
  if (const auto n = whole(factor * static_cast<double>(*length))) {
    add("rope.dimension_count", *n, part.is_number() ? part.path : "the length of a head", *length);
  }
}

void Expectations::scaling() {
  if (arch_.rope == RopeStyle::none) return;
  ConfigValue type = find_rope_value(hf_, "rope_type");
  if (!type) type = find_rope_value(hf_, "type");
  const std::string name = type.value.is_string() ? type.value.get<std::string>() : "default";
  const ConfigValue original = [&] {
    ConfigValue own = find_rope_value(hf_, "original_max_position_embeddings");
    return own ? own : find_value(hf_, "original_max_position_embeddings");
  }();
  const std::string from = type ? type.path : "no rope_type";
  if (name == "longrope" || name == "su") {
    // Phi-3's files say it in the factors' tensors alone (phi.py).
    add("rope.scaling.type", "longrope", from, "longrope");
  } else if (name == "linear" || name == "yarn") {
    add("rope.scaling.type", name, from, "linear");
  } else {
    add("rope.scaling.type", "none", from, "none", "linear");
  }
  const ConfigValue factor = find_rope_value(hf_, "factor");
  if (name == "linear" || name == "yarn") {
    if (factor.is_number()) add("rope.scaling.factor", factor.value, factor.path, 1);
  } else {
    add("rope.scaling.factor", 1, from, 1, 0);
  }
  if (original.is_number() && name != "llama3") {
    add("rope.scaling.original_context_length", original.value, original.path,
        name == "yarn" ? json(config_.n_ctx_train) : json());
  }
  if (name == "yarn") {
    for (const auto& [key, path, fallback] :
         {std::tuple{"rope.scaling.yarn_beta_fast", "beta_fast", 32.0},
          std::tuple{"rope.scaling.yarn_beta_slow", "beta_slow", 1.0},
          std::tuple{"rope.scaling.attn_factor", "attention_factor", 1.0}}) {
      const ConfigValue value = find_rope_value(hf_, path);
      if (value.is_number()) add(key, value.value, value.path, fallback);
    }
    const ConfigValue log = find_rope_value(hf_, "mscale_all_dim");
    if (log.is_number() && arch_.yarn_log != Arch::YarnLog::none) {
      // DeepSeek's files have a tenth of it (deepseek.py), others all (mistral3.py).
      const double value = log.value.get<double>();
      add("rope.scaling.yarn_log_multiplier", is_latent() ? 0.1 * value : value, log.path, 0);
    }
  }
  const auto context = integer("max_position_embeddings");
  if (name == "longrope" && original.is_number() && context) {
    const double length = original.value.get<double>();
    const double scale = static_cast<double>(*context) / length;
    const double expected =
        scale > 1 && length > 1 ? std::sqrt(1 + std::log(scale) / std::log(length)) : 1;
    add("rope.scaling.attn_factor", expected, "original_max_position_embeddings", 1);
  }
}

void Expectations::windows() {
  const bool has_windows = arch_.window.period != 0 || arch_.window.needs_pattern;
  const ConfigValue window = find_value(hf_, "sliding_window");
  const ConfigValue used = find_value(hf_, "use_sliding_window");
  const bool is_off = used && used.value == false;
  if (window.is_number() && !is_off) {
    add("attention.sliding_window", window.value, window.path,
        has_windows ? json(arch_.window.default_len) : json());
  } else if (hf_.contains("sliding_window")) {
    add("attention.sliding_window", 0, "sliding_window", 0, window.value);
  }
  const std::vector<bool> slides = layers_of_type(hf_, "sliding_attention");
  if (!slides.empty()) add("attention.sliding_window_pattern", slides, "layer_types");
  for (const auto& [key, has, fallback] :
       {std::tuple{"attn_logit_softcapping", arch_.attn_softcap.has_value(),
                   arch_.attn_softcap.value_or(0)},
        std::tuple{"final_logit_softcapping", arch_.final_softcap.has_value(),
                   arch_.final_softcap.value_or(0)}}) {
    if (!has || !hf_.contains(key)) continue;
    const ConfigValue cap = find_value(hf_, key);
    add(key, cap.is_number() ? cap.value : json(0), key, fallback);
  }
}

void Expectations::recurrent() {
  if (config_.recurrent.n_conv == 0) return;
  const auto n_values = integer("linear_num_value_heads"),
             length = integer("linear_value_head_dim");
  const auto expand = integer("mamba_expand|expand"), n_embd = width();
  if (n_values && length) {
    add("ssm.inner_size", *n_values * *length, "linear_value_head_dim");
  } else if (const auto inner = integer("mamba_d_ssm")) {
    add("ssm.inner_size", *inner, "mamba_d_ssm");
  } else if (expand && n_embd) {
    add("ssm.inner_size", *expand * *n_embd, "expand");
  }
  // Granite's and Bamba's: whether attention rotates at all (granite.py).
  if (arch_.has_branch(is_attention)) {
    const bool is_known = hf_.contains("position_embedding_type");
    const ConfigValue kind = find_value(hf_, "position_embedding_type");
    add("rope.scaling.finetuned", !is_known || kind.value == "rope", "position_embedding_type");
  }
  const ConfigValue model = find_value(hf_, "model_type");
  if (model.value.is_string()) {
    add("ssm.dt_b_c_rms", model.value == "falcon_mamba", model.path);
  }
  const std::vector<bool> linear = layers_of_type(hf_, "linear_attention");
  if (linear.empty()) return;
  add("attention.recurrent_layers", linear, "layer_types");
  const auto first = std::ranges::find(linear, false);
  if (first != linear.end() && arch_.find_block<GatedDeltaNet>() != nullptr) {
    add("full_attention_interval", first - linear.begin() + 1, "layer_types", 4);
  }
}

}  // namespace

std::vector<ExpectedKey> expected_keys(const Arch& arch, const Config& config,
                                       const CheckpointFacts& facts) {
  return Expectations(arch, config, facts).all();
}

std::vector<ExpectedLayers> expected_layers(const Arch& arch, const Config& config,
                                            const CheckpointFacts& facts) {
  std::vector<ExpectedLayers> all;
  const auto held = [&](std::string what, std::string from, std::vector<bool> expected,
                        bool LayerConfig::*field) {
    if (expected.size() != config.layers.size()) return;
    std::vector<bool> actual;
    for (const LayerConfig& layer : config.layers) actual.push_back(layer.*field);
    all.push_back({std::move(what), std::move(from), std::move(expected), std::move(actual)});
  };
  if (config.window_len != 0) {
    const char* type = arch.window.chunked ? "chunked_attention" : "sliding_attention";
    held("a window", "layer_types", layers_of_type(facts.config, type), &LayerConfig::has_window);
  }
  if (arch.has_branch(is_recurrent) && arch.has_branch(is_attention) &&
      !arch.other_layers.empty()) {
    std::vector<bool> expected = layers_with_attention(facts.config, config.n_layers);
    expected.flip();
    held("a state instead of attention", "layer_types", std::move(expected),
         &LayerConfig::is_recurrent);
  }
  const ConfigValue rotates = find_value(facts.config, "no_rope_layers");
  if (rotates.value.is_array() && arch.rope != RopeStyle::none) {
    std::vector<bool> expected;
    for (const json& value : rotates.value) expected.push_back(value == 1 || value == true);
    held("rope", "no_rope_layers", std::move(expected), &LayerConfig::has_rope);
  }
  return all;
}

}  // namespace crossval
