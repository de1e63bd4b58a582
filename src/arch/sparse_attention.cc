#include "arch/sparse_attention.h"

#include <fmt/format.h>

#include <cmath>

#include "base/error.h"

namespace crossval {
namespace {

// Which layers have an indexer of their own.
void choose_indexer_layers(const Keys& keys, const Indexer& indexer, Config& config) {
  std::vector<bool> has;
  if (indexer.types_key) {
    has = keys.flags("attention.indexer.types");
    if (has.empty() && keys.has("attention.indexer.types")) {
      has.assign(config.layers.size(), keys.count("attention.indexer.types", 0, 1) != 0);
    }
  }
  const int n_leading =
      indexer.only_with_experts ? keys.count("leading_dense_block_count", 0, 4096) : 0;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const auto at = static_cast<size_t>(layer);
    config.layers[at].has_indexer =
        !config.layers[at].is_recurrent && layer >= n_leading && (at >= has.size() || has[at]);
  }
}

void read_indexer(const Keys& keys, const Indexer& indexer, Config& config) {
  IndexerConfig& out = config.indexer;
  out.n_seen = keys.count("attention.indexer.top_k", 0, INT32_MAX);
  if (out.n_seen == 0) return;
  out.n_heads = keys.required_int("attention.indexer.head_count", kMaxWidth);
  out.key_len = keys.required_int("attention.indexer.key_length", kMaxWidth);
  out.norm_eps = indexer.norm_eps.value_or(config.norm_eps);
  choose_indexer_layers(keys, indexer, config);
  if (indexer.kind == Indexer::Kind::mean_block) {
    const std::vector<int> ratios =
        keys.per_layer("attention.compress_ratios", config.n_layers, 0, kMaxWidth);
    for (size_t layer = 0; layer < ratios.size(); ++layer) {
      LayerConfig& sizes = config.layers[layer];
      if (sizes.is_recurrent) continue;
      sizes.ratio = ratios[layer];
      sizes.has_indexer = ratios[layer] > 0;
    }
  }
  const bool is_by_head = indexer.kind == Indexer::Kind::best_block;
  if (is_by_head) {
    out.block_len = keys.required_int("attention.indexer.block_size", INT32_MAX);
    out.n_latest = keys.required_int("attention.indexer.local_blocks", INT32_MAX);
  }
  const bool fits = config.rope.n_dims <= out.key_len &&
                    int64_t{out.n_heads} * out.key_len <= kMaxWidth &&
                    (!is_by_head || out.n_heads == config.n_kv_heads);
  if (fits) return;
  bad_input("bad_hyperparameter",
            fmt::format("an indexer of {} heads of {} elements, {} of them rotated, makes no sense",
                        out.n_heads, out.key_len, config.rope.n_dims),
            keys.model().path(), "correct the attention.indexer.* metadata keys");
}

// llama.cpp src/models/deepseek4.cpp `load_arch_hparams`, `build_attention_impl`.
void read_compressed(const Keys& keys, Config& config) {
  config.output_groups = {.count = keys.required_int("attention.output_group_count", kMaxWidth),
                          .rank = keys.required_int("attention.output_lora_rank", kMaxWidth)};
  const int q_rank = keys.required_int("attention.q_lora_rank", kMaxWidth);
  const std::vector<int> ratios =
      keys.per_layer("attention.compress_ratios", config.n_layers, {}, kMaxWidth);
  const int n_by_token = keys.count("hash_layer_count", 0, INT32_MAX);
  bool fits = config.head_dim == config.value_dim && config.rope.n_dims <= config.head_dim &&
              config.window_len > 0 &&
              int64_t{config.output_groups.count} * config.output_groups.rank <= kMaxWidth;
  for (size_t i = 0; i < ratios.size(); ++i) {
    LayerConfig& layer = config.layers[i];
    layer.latent.q_rank = q_rank;
    layer.ratio = ratios[i];
    layer.has_window_rope = ratios[i] == 0;
    layer.has_indexer = ratios[i] == CompressedAttention::kShort;
    layer.experts_by_token = static_cast<int>(i) < n_by_token;
    fits = fits && (!layer.has_indexer || config.indexer.n_seen > 0) && layer.n_kv_heads == 1 &&
           layer.n_heads % config.output_groups.count == 0 &&
           (ratios[i] == 0 || ratios[i] == CompressedAttention::kShort ||
            ratios[i] == CompressedAttention::kLong);
  }
  if (!fits) {
    bad_input("bad_hyperparameter",
              "heads, groups, window or compress_ratios of compressed attention make no sense",
              keys.model().path(), "correct the attention.* metadata keys");
  }
  // Layers that see the window alone are not scaled; others have a base of their own, and YaRN
  // without its magnitude.
  RopeConfig& rope = config.rope;
  config.window_rope = {.style = rope.style, .n_dims = rope.n_dims, .freq_base = rope.freq_base};
  rope.freq_base = keys.optional_float("attention.compress_rope_freq_base", rope.freq_base);
  rope.attn_factor =
      rope.ext_factor == 0 ? 1.0f : 1.0f / (1.0f + 0.1f * std::log(1.0f / rope.freq_scale));
}

// Lists the specs of one layer.
class Lister {
 public:
  Lister(int layer, std::vector<TensorSpec>& out) : layer_(layer), out_(out) {}

  // Neither scales nor biases beside them count.
  TensorSpec& matrix(Role role, int64_t ne0, int64_t ne1) {
    TensorSpec& spec = vector(role, ne0);
    spec.shape[1] = ne1;
    spec.is_linear = true;
    spec.uses_scale = false;
    return spec;
  }
  TensorSpec& vector(Role role, int64_t n) {
    out_.push_back({.role = role, .layer = layer_, .shape = {n}, .uses_bias = false});
    return out_.back();
  }

 private:
  int layer_;
  std::vector<TensorSpec>& out_;
};

// What makes one row of `ratio` positions.
struct CompressorRoles {
  Role values, scores, position_scores, norm;
};

void list_compressor(const CompressorRoles& roles, const Config& config, int ratio,
                     int64_t head_len, Lister& list) {
  const int64_t n = ratio == CompressedAttention::kShort ? 2 * head_len : head_len;
  list.matrix(roles.values, config.n_embd, n);
  list.matrix(roles.scores, config.n_embd, n);
  list.vector(roles.position_scores, n).shape[1] = ratio;
  list.vector(roles.norm, head_len);
}

}  // namespace

void read_sparse_attention(const Keys& keys, const Arch& arch, Config& config) {
  if (const Indexer* indexer = arch.find_indexer()) read_indexer(keys, *indexer, config);
  if (arch.find_block<CompressedAttention>() == nullptr) return;
  read_indexer(keys, {}, config);
  config.indexer.block_len = CompressedAttention::kShort;
  read_compressed(keys, config);
}

void list_indexer(Indexer::Kind kind, const Config& config, int layer,
                  std::vector<TensorSpec>& out) {
  Lister list(layer, out);
  const IndexerConfig& indexer = config.indexer;
  const int64_t n_queries = int64_t{indexer.n_heads} * indexer.key_len;
  if (kind == Indexer::Kind::positions) {
    TensorSpec& norm = list.vector(Role::indexer_k_norm, indexer.key_len);
    norm.uses_bias = norm.needs_bias = true;
    list.matrix(Role::indexer_proj, config.n_embd, indexer.n_heads);
    list.matrix(Role::indexer_attn_k, config.n_embd, indexer.key_len);
    list.matrix(Role::indexer_attn_q_b, config.layers[static_cast<size_t>(layer)].latent.q_rank,
                n_queries);
    return;
  }
  list.vector(Role::indexer_k_norm, indexer.key_len);
  list.vector(Role::indexer_q_norm, indexer.key_len);
  list.matrix(Role::indexer_q_proj, config.n_embd, n_queries);
  list.matrix(Role::indexer_k_proj, config.n_embd, indexer.key_len);
}

void list_compressed(const ModelFile& model, const Config& config, int layer,
                     std::vector<TensorSpec>& out) {
  Lister list(layer, out);
  const LayerConfig& sizes = config.layers[static_cast<size_t>(layer)];
  const int64_t head_len = config.head_dim, q_rank = sizes.latent.q_rank;
  const auto [n_groups, rank] = config.output_groups;
  list.vector(Role::attn_sinks, sizes.n_heads);
  list.matrix(Role::attn_q_a, config.n_embd, q_rank);
  list.vector(Role::attn_q_a_norm, q_rank);
  list.matrix(Role::attn_q_b, q_rank, sizes.n_heads * head_len);
  list.matrix(Role::attn_kv, config.n_embd, head_len);
  list.vector(Role::attn_kv_a_norm, head_len);
  TensorSpec& to_rows = list.matrix(Role::attn_output_a, sizes.n_heads * head_len / n_groups, rank);
  to_rows.shape[2] = n_groups;
  const TensorView* file = model.find_tensor(to_rows.name());
  if (file != nullptr && file->shape.size() == 2) {  // one behind the other
    to_rows.shape = {to_rows.shape[0], int64_t{rank} * n_groups, 0};
  }
  list.matrix(Role::attn_output_b, int64_t{n_groups} * rank, config.n_embd);
  if (sizes.ratio == 0) return;
  list_compressor(
      {Role::compressor_kv, Role::compressor_gate, Role::compressor_ape, Role::compressor_norm},
      config, sizes.ratio, head_len, list);
  if (!sizes.has_indexer) return;
  const IndexerConfig& indexer = config.indexer;
  list.matrix(Role::indexer_proj, config.n_embd, indexer.n_heads);
  list.matrix(Role::indexer_attn_q_b, q_rank, int64_t{indexer.n_heads} * indexer.key_len);
  list_compressor({Role::indexer_compressor_kv, Role::indexer_compressor_gate,
                   Role::indexer_compressor_ape, Role::indexer_compressor_norm},
                  config, sizes.ratio, indexer.key_len, list);
}

}  // namespace crossval
