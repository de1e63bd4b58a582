#include "arch/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "arch/recurrent.h"
#include "arch/sparse_attention.h"
#include "arch/streams.h"
#include "base/error.h"

namespace crossval {
namespace {

// As kMaxWidth.
constexpr int64_t kMaxLayers = 4096;
constexpr int64_t kMaxExperts = 1 << 16;

// The file holds a tenth of it (llama.cpp src/models/deepseek2.cpp).
float yarn_log_multiplier(const Keys& keys, const Arch& arch) {
  if (arch.yarn_log == Arch::YarnLog::none) return 0;
  return keys.optional_float("rope.scaling.yarn_log_multiplier", 0) / 0.1f;
}

// llama-model.cpp `load_hparams` and llama-context.cpp (llama.cpp v0.5.0): how the scaling keys
// become freq_scale, ext_factor and attn_factor.
RopeConfig read_rope(const Keys& keys, const Config& config, const Arch& arch) {
  RopeConfig rope;
  const RopeStyle style = arch.rope;
  rope.style = style;
  rope.n_dims = keys.optional_int("rope.dimension_count", config.head_dim, config.head_dim);
  rope.freq_base = keys.optional_float("rope.freq_base", 10000.0f);
  rope.n_ctx_orig =
      keys.optional_int("rope.scaling.original_context_length", config.n_ctx_train, INT32_MAX);
  const std::string type = keys.optional_string("rope.scaling.type", "linear");
  float factor = keys.optional_float("rope.scaling.factor", 0.0f);
  if (!keys.has("rope.scaling.factor")) factor = keys.optional_float("rope.scale_linear", 0.0f);
  if (type == "none") {
    rope.freq_scale = 1.0f;
  } else if (type == "linear" || type == "yarn" || type == "longrope") {
    rope.freq_scale = factor == 0.0f ? 1.0f : 1.0f / factor;
  } else {
    bad_input("unsupported_rope", fmt::format("rope scaling '{}' is not supported", type),
              keys.model().path(),
              "native knows none, linear, yarn and longrope; compare two other engines");
  }
  if (type == "yarn") {
    // The magnitude factor of the paper is applied where angles are made (rope.cc); llama.cpp
    // multiplies it in and cancels it once, which leaves 1 for factors above 1.
    rope.ext_factor = 1.0f;
    const float scale = 1.0f / rope.freq_scale;
    const auto mscale = [&](float multiplier) {
      return scale <= 1.0f ? 1.0f : 0.1f * multiplier * std::log(scale) + 1.0f;
    };
    rope.attn_factor = mscale(1.0f);
    if (const float all = yarn_log_multiplier(keys, arch); all != 0) {
      rope.attn_factor = mscale(arch.yarn_log == Arch::YarnLog::both ? all : 1.0f) / mscale(all);
    }
    rope.attn_factor *= 1.0f / (1.0f + 0.1f * std::log(scale));
  }
  rope.attn_factor *= keys.optional_float("rope.scaling.attn_factor", 1.0f);
  rope.beta_fast = keys.optional_float("rope.scaling.yarn_beta_fast", 32.0f);
  rope.beta_slow = keys.optional_float("rope.scaling.yarn_beta_slow", 1.0f);
  if (style == RopeStyle::multi || style == RopeStyle::interleaved) {
    const auto sections = keys.per_layer("rope.dimension_sections", 4, {}, kMaxWidth);
    std::ranges::copy(sections, rope.sections.begin());
  }
  if (rope.n_dims % 2 != 0 || !(rope.freq_base > 0) || !std::isfinite(rope.freq_scale)) {
    bad_input("bad_hyperparameter",
              fmt::format("rope over {} elements with base {} and scale {} makes no sense",
                          rope.n_dims, rope.freq_base, rope.freq_scale),
              keys.model().path(), "correct the rope.* metadata keys");
  }
  return rope;
}

void read_heads(const Keys& keys, Config& config) {
  const std::string& path = keys.model().path();
  const int default_dim = config.n_embd / config.n_heads;
  config.head_dim = keys.optional_int("attention.key_length", default_dim, kMaxWidth);
  config.value_dim = keys.optional_int("attention.value_length", default_dim, kMaxWidth);
  if (config.head_dim == default_dim && config.n_embd % config.n_heads != 0) {
    bad_input("bad_hyperparameter",
              fmt::format("embedding_length {} is no multiple of head_count {}", config.n_embd,
                          config.n_heads),
              path, "correct the metadata or convert the model again");
  }
  for (LayerConfig& layer : config.layers) {
    layer.head_dim = config.head_dim;
    layer.value_dim = config.value_dim;
    if (layer.n_heads == 0 && layer.n_kv_heads == 0 && config.n_heads != 0) continue;
    if (layer.n_kv_heads > 0 && layer.n_heads % layer.n_kv_heads == 0) continue;
    bad_input("bad_hyperparameter",
              fmt::format("head_count {} is no multiple of head_count_kv {}", layer.n_heads,
                          layer.n_kv_heads),
              path, "correct the metadata or convert the model again");
  }
}

// Heads and feed-forward length of each layer, as its kind has them.
void read_layer_sizes(const Keys& keys, const Arch& arch, Config& config) {
  const std::vector<int> none(config.layers.size(), 0);
  // Where every layer has experts, it may be that no key speaks of dense parts (Qwen3.5).
  const std::optional<int> no_key =
      keys.has("expert_feed_forward_length") ? std::optional(0) : std::nullopt;
  const auto n_ff = arch.find_block<FeedForward>() != nullptr
                        ? keys.per_layer("feed_forward_length", config.n_layers, no_key, kMaxWidth)
                        : none;
  const bool has_attention = arch.has_branch(is_attention);
  const auto n_heads =
      has_attention ? keys.per_layer("attention.head_count", config.n_layers, {}, config.n_embd)
                    : none;
  const bool has_kv_key = has_attention && keys.has("attention.head_count_kv");
  const auto n_kv =
      has_kv_key ? keys.per_layer("attention.head_count_kv", config.n_layers, {}, config.n_embd)
                 : n_heads;
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    config.layers[layer] = {
        .n_heads = n_heads[layer], .n_kv_heads = n_kv[layer], .n_ff = n_ff[layer]};
  }
  if (arch.choose_kinds != nullptr) arch.choose_kinds(keys, config);
  for (LayerConfig& layer : config.layers) {
    const std::vector<Branch>& branches = arch.layer_of(layer.kind);
    if (std::ranges::none_of(branches, is_attention)) layer.n_heads = layer.n_kv_heads = 0;
    if (!has_block<FeedForward>(branches)) layer.n_ff = 0;
    layer.is_recurrent = std::ranges::any_of(branches, is_recurrent);
    if (config.n_heads == 0) {
      config.n_heads = layer.n_heads;
      config.n_kv_heads = layer.n_kv_heads;
    }
    if (config.n_ff == 0) config.n_ff = layer.n_ff;
  }
  if (config.n_heads != 0) return read_heads(keys, config);
  if (!has_attention) return;
  bad_input("bad_hyperparameter", "no layer has heads of attention", keys.model().path(),
            "correct the attention.head_count metadata keys");
}

// llama-model.cpp `load_swa_pattern`: one flag per layer, or every how many layers one sees all.
void read_windows(const Keys& keys, const Arch& arch, Config& config) {
  config.window_rope = config.rope;
  if (arch.window.period == 0) return;
  if (arch.window.only_with_n_layers != 0 && config.n_layers != arch.window.only_with_n_layers) {
    return;
  }
  config.window_len = keys.count("attention.sliding_window", arch.window.default_len, INT32_MAX);
  if (config.window_len == 0) return;
  if (arch.window.fixed_len != 0) config.window_len = arch.window.fixed_len;
  constexpr const char* pattern = "attention.sliding_window_pattern";
  std::vector<bool> flags = keys.flags(pattern);
  if (flags.empty()) {
    const int period = keys.count(pattern, arch.window.period, INT32_MAX);
    for (int layer = 0; layer < config.n_layers; ++layer) {
      flags.push_back(period == 0 || (arch.window.first_sees_all ? layer % period != 0
                                                                 : layer % period < period - 1));
    }
  }
  flags.resize(static_cast<size_t>(config.n_layers));
  for (size_t layer = 0; layer < flags.size(); ++layer) {
    config.layers[layer].has_window = config.layers[layer].has_window_rope = flags[layer];
    if (arch.window.rope_in_windows_only) config.layers[layer].has_rope = flags[layer];
  }
  config.window_rope.freq_base =
      keys.optional_float("rope.freq_base_swa", arch.window.rope_base != 0 ? arch.window.rope_base
                                                                           : config.rope.freq_base);
  if (arch.window.rope_scale_alone) config.window_rope.freq_scale = 1;
  if (arch.window.rope_unscaled) {
    config.window_rope.freq_scale = 1;
    config.window_rope.ext_factor = 0;
    config.window_rope.attn_factor = 1;
  }
}

// llama.cpp src/models/deepseek2.cpp, minicpm3.cpp, dots3note.cpp (layers with a window may have
// lengths of their own, under the same keys with "_swa").
void read_latent(const Keys& keys, const LatentAttention& attention, int index, Config& config) {
  LayerConfig& layer = config.layers[static_cast<size_t>(index)];
  const auto read = [&](std::string name) {
    if (attention.own_window_lengths && layer.has_window) name += "_swa";
    return keys.count(name.c_str(), 0, kMaxWidth);
  };
  LatentConfig& out = layer.latent;
  const int n_rot = config.rope.n_dims;
  out.rank = read("attention.kv_lora_rank");
  if (!attention.rotates) layer.has_rope = false;
  // Small models of the family have no such row, whatever the key says.
  const std::string plain = fmt::format("blk.{}.attn_q.weight", index);
  if (attention.q_row && keys.model().find_tensor(plain) == nullptr) {
    out.q_rank = keys.count("attention.q_lora_rank", 0, kMaxWidth);
  }
  if (attention.absorbs) {
    out.key_len = read("attention.key_length_mla");
    out.value_len = read("attention.value_length_mla");
  }
  out.absorbed = out.key_len != 0 && out.value_len != 0;
  if (out.absorbed) {
    layer.head_dim = out.rank + n_rot;
    layer.value_dim = out.rank;
    layer.n_kv_heads = 1;
  } else {
    out.key_len = layer.head_dim;
    out.value_len = layer.value_dim;
    layer.n_kv_heads = layer.n_heads;
  }
  if (out.rank == 0 || n_rot > out.key_len || (out.absorbed && n_rot == out.key_len)) {
    bad_input("bad_hyperparameter",
              fmt::format("heads of {} and {} from rows of {}, {} elements of them rotated, make "
                          "no sense",
                          out.key_len, out.value_len, out.rank, n_rot),
              keys.model().path(), "correct the attention.* and rope.* metadata keys");
  }
}

// deepseek2.cpp: what YaRN took from attn_factor comes back, squared with the multiplier's.
void scale_latent_scores(const Keys& keys, const Arch& arch, bool yarn, Config& config) {
  float mscale = 1;
  if (yarn) {
    const float log_scale = std::log(1.0f / config.rope.freq_scale);
    mscale = config.rope.attn_factor * (1.0f + 0.1f * log_scale) *
             (1.0f + 0.1f * yarn_log_multiplier(keys, arch) * log_scale);
  }
  for (LayerConfig& layer : config.layers) {
    if (layer.latent.rank == 0) continue;
    layer.kq_scale = mscale * mscale / std::sqrt(static_cast<float>(layer.latent.key_len));
  }
}

void read_latents(const Keys& keys, const Arch& arch, const LatentAttention& attention,
                  Config& config) {
  config.n_kv_heads = 0;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const LayerConfig& sizes = config.layers[static_cast<size_t>(layer)];
    if (sizes.is_recurrent) continue;
    read_latent(keys, attention, layer, config);
    if (config.n_kv_heads == 0) config.n_kv_heads = sizes.n_kv_heads;
  }
  scale_latent_scores(keys, arch, attention.yarn_scores, config);
  if (!attention.temperature) return;
  config.temperature.scale = keys.optional_float("attention.temperature_scale", 0);
  if (config.temperature.scale == 0) return;
  config.temperature.length = keys.required_int("attention.temperature_length", INT32_MAX);
}

// One value, or one a layer.
void read_clamps(const Keys& keys, bool shared, Config& config) {
  const auto read = [&](const char* name, size_t layer) {
    const MetaValue* value = keys.model().find(keys.full(name));
    const auto* list = value == nullptr ? nullptr : std::get_if<std::vector<double>>(&value->value);
    if (list != nullptr) return layer < list->size() ? static_cast<float>((*list)[layer]) : 0.0f;
    return keys.optional_float(name, 0);
  };
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    config.layers[layer].clamp = read("swiglu_clamp_exp", layer);
    if (!shared) continue;
    const bool has_own = keys.has("swiglu_clamp_shexp");
    config.layers[layer].shared_clamp =
        read(has_own ? "swiglu_clamp_shexp" : "swiglu_clamp_exp", layer);
  }
}

// llama.cpp llama_expert_gating_func_type.
Gating read_gating(const Keys& keys, const Experts& experts) {
  if (experts.gating != Gating::key) return experts.gating;
  switch (keys.count("expert_gating_func", 0, 100)) {
    case 0:
      return experts.default_sigmoid ? Gating::sigmoid : Gating::softmax;
    case 1:
      return Gating::softmax;
    case 2:
      return Gating::sigmoid;
    case 3:
      return Gating::softmax_weight;
    case 4:
      return Gating::sqrt_softplus;
    default:
      bad_input(
          "unsupported_experts",
          fmt::format("'{}' is a function native does not know", keys.full("expert_gating_func")),
          keys.model().path(), "compare two other engines");
  }
}

// The width of what every token goes through beside its experts.
int read_shared_width(const Keys& keys, int n_ff_expert) {
  const int n_shared = keys.count("expert_shared_count", 0, kMaxExperts);
  const int named = keys.count("expert_shared_feed_forward_length", 0, kMaxWidth);
  if (named != 0) return named;
  const int64_t width = int64_t{n_ff_expert} * n_shared;
  if (width > kMaxWidth) {
    bad_input(
        "bad_hyperparameter",
        fmt::format("{} shared experts of {} are wider than any model", n_shared, n_ff_expert),
        keys.model().path(), "download the model again");
  }
  return static_cast<int>(width);
}

void read_experts(const Keys& keys, const Arch& arch, const Experts& experts, Config& config) {
  ExpertConfig& out = config.experts;
  out.n_experts = keys.count("expert_count", 0, kMaxExperts);
  if (out.n_experts == 0) return;
  const auto n_used = keys.per_layer("expert_used_count", config.n_layers, {}, out.n_experts);
  const auto n_ff = keys.per_layer("expert_feed_forward_length", config.n_layers, 0, kMaxWidth);
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    config.layers[layer].n_experts_used = n_used[layer];
    config.layers[layer].n_ff_expert = n_ff[layer] != 0 ? n_ff[layer] : config.n_ff;
  }
  if (experts.scale_key) out.weights_scale = keys.optional_float("expert_weights_scale", 0);
  if (out.weights_scale == 0) out.weights_scale = 1;
  out.weights_norm = experts.weights_norm == Experts::Norm::key
                         ? keys.optional_bool("expert_weights_norm", false)
                         : experts.weights_norm == Experts::Norm::yes;
  if (experts.clamp_key) read_clamps(keys, experts.clamp_shared, config);
  if (experts.latent) out.n_latent = keys.count("expert_latent_length", 0, kMaxWidth);
  out.gating = read_gating(keys, experts);
  if (experts.shared) out.n_ff_shared = read_shared_width(keys, config.layers.back().n_ff_expert);
  if (experts.adjugate) {
    out.n_sharing = keys.required_int("experts_per_group", out.n_experts);
    out.n_ff_adjugate = keys.count("expert_chunk_feed_forward_length", 0, kMaxWidth);
    if (out.n_ff_adjugate == 0) out.n_ff_adjugate = config.head_dim;
    out.adjugate_scale = keys.optional_float("expert_group_scale", 0);
  }
  out.n_groups = keys.count("expert_group_count", 0, out.n_experts);
  out.n_groups_used = keys.count("expert_group_used_count", 0, out.n_experts);
  if (out.n_groups > 1 && (out.n_experts % out.n_groups != 0 || out.n_groups_used < 1 ||
                           out.n_groups_used > out.n_groups)) {
    bad_input("bad_hyperparameter",
              fmt::format("{} of {} groups of {} experts make no sense", out.n_groups_used,
                          out.n_groups, out.n_experts),
              keys.model().path(), "correct the expert_group_* metadata keys");
  }
  const bool by_file = experts.layers == ExpertLayers::with_router;
  const bool by_step = experts.layers == ExpertLayers::every_step;
  const int n_leading = experts.layers == ExpertLayers::all || by_file || by_step
                            ? 0
                            : keys.count("leading_dense_block_count", 0, kMaxLayers);
  const int step = by_step || experts.layers == ExpertLayers::interleaved
                       ? keys.optional_int("interleave_moe_layer_step", 1, kMaxLayers)
                       : 1;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    config.layers[static_cast<size_t>(layer)].has_experts =
        layer >= n_leading && (layer + 1) % step == 0 &&
        (!by_file || keys.model().find_tensor(fmt::format("blk.{}.ffn_gate_inp.weight", layer)));
  }
  for (const LayerConfig& layer : config.layers) {
    if (!layer.has_experts || layer.n_experts_used > 0) continue;
    if (!has_block<FeedForward>(arch.layer_of(layer.kind))) continue;
    bad_input("bad_hyperparameter",
              fmt::format("'{}' is 0 for a layer with experts", keys.full("expert_used_count")),
              keys.model().path(), "correct this metadata key or convert the model again");
  }
}

void read_cycles(const Keys& keys, Config& config) {
  CycleConfig& out = config.cycles;
  out = {.n_layers = keys.required_int("hrm.layers_per_stack", kMaxLayers),
         .n_high = keys.required_int("hrm.h_cycles", kMaxLayers),
         .n_low = keys.required_int("hrm.l_cycles", kMaxLayers)};
  if (int64_t{out.n_layers} * out.n_high * (out.n_low + 1) == config.n_layers) return;
  bad_input("bad_hyperparameter",
            fmt::format("{} times {} and one passes of {} layers are not {} layers", out.n_high,
                        out.n_low, out.n_layers, config.n_layers),
            keys.model().path(), "correct the hrm.* metadata keys");
}

float read_factor(const Keys& keys, const Factor& factor) {
  if (factor.key == nullptr) return 1;
  const float value = keys.optional_float(factor.key, factor.fallback);
  if (value == 0) return 1;  // llama.cpp leaves the operation out
  return factor.divides ? 1 / value : value;
}

}  // namespace

void adjust_sections(const Keys& keys, Config& config) {
  if (!keys.has("rope.dimension_sections")) return;
  const std::vector<int> sections = keys.per_layer("rope.dimension_sections", 4, {}, kMaxWidth);
  if (std::ranges::all_of(sections, [](int n) { return n == 0; })) return;
  for (RopeConfig* rope : {&config.rope, &config.window_rope}) {
    rope->style = RopeStyle::multi;
    std::ranges::copy(sections, rope->sections.begin());
  }
}

Config read_config(const ModelFile& model, const Arch& arch) {
  const Keys keys(model);
  Config config;
  config.arch = model.architecture();
  config.n_embd = keys.required_int("embedding_length", kMaxWidth);
  // The last ones guess tokens further ahead: no logits of the next come through them.
  const int n_all = keys.required_int("block_count", kMaxLayers);
  config.n_layers = n_all - keys.count("nextn_predict_layers", 0, n_all - 1);
  config.n_ctx_train = keys.required_int("context_length", INT32_MAX);
  config.layers.resize(static_cast<size_t>(config.n_layers));
  read_layer_sizes(keys, arch, config);
  const char* eps_key = arch.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon"
                                                   : "attention.layer_norm_epsilon";
  config.norm_eps = keys.optional_float(eps_key, -1.0f);
  if (!(config.norm_eps >= 0)) {
    bad_input("missing_key", fmt::format("'{}' is missing or negative", keys.full(eps_key)),
              model.path(), "convert the model again with a current converter");
  }
  if (config.head_dim != 0) {
    config.kq_scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim));
  }
  if (arch.attention_scale_key) {
    const float scale = keys.optional_float("attention.scale", 0);
    if (scale != 0) config.kq_scale = scale;
  }
  if (arch.rope != RopeStyle::none) config.rope = read_rope(keys, config, arch);
  for (size_t layer = 0; layer < config.layers.size(); ++layer) {
    config.layers[layer].has_rope =
        arch.rope != RopeStyle::none &&
        (arch.no_rope_period == 0 || (layer + 1) % static_cast<size_t>(arch.no_rope_period) != 0);
  }
  read_windows(keys, arch, config);
  if (const auto* latent = arch.find_block<LatentAttention>()) {
    read_latents(keys, arch, *latent, config);
  }
  read_sparse_attention(keys, arch, config);
  if (const FeedForward* ffn = arch.find_experts()) read_experts(keys, arch, ffn->experts, config);
  read_recurrent(keys, arch, config);
  if (arch.attn_softcap) {
    config.attn_softcap = keys.optional_float("attn_logit_softcapping", *arch.attn_softcap);
  }
  if (arch.final_softcap) {
    config.final_softcap = keys.optional_float("final_logit_softcapping", *arch.final_softcap);
  }
  config.embedding_scale = arch.embedding_by_width ? std::sqrt(static_cast<float>(config.n_embd))
                                                   : read_factor(keys, arch.embedding_scale);
  config.residual_scale = read_factor(keys, arch.residual_scale);
  config.logit_scale = read_factor(keys, arch.logit_scale);
  if (arch.alibi_key) config.alibi_bias = keys.optional_float("attention.max_alibi_bias", 0);
  if (arch.clamp_key) config.clamp_qkv = keys.optional_float("attention.clamp_kqv", 0);
  if (arch.parallel_key) config.parallel = keys.optional_bool("use_parallel_residual", true);
  read_streams_config(keys, arch, config);
  if (arch.residual_checkpoints) {
    config.checkpoint_period = keys.count("attn_res.block_size", 0, INT32_MAX);
  }
  config.situ_beta = keys.optional_float("activation.situ_beta", 1);
  config.situ_linear_beta = keys.optional_float("activation.situ_linear_beta", 0);
  if (arch.cycles) read_cycles(keys, config);
  if (arch.adjust != nullptr) arch.adjust(keys, config);
  return config;
}

}  // namespace crossval
