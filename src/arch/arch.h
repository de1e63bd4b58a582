// What a row of the table of architectures says: its layer in blocks, and which hyperparameters
// bear on it. From it follow the tensors (tensors.h), the hyperparameters read (config.h), native's
// forward pass, and what replay expects of an engine's graph.
#pragma once

#include <algorithm>
#include <optional>
#include <string_view>
#include <vector>

#include "arch/blocks.h"

namespace crossval {

struct Config;
class Keys;

// Layers that look through a sliding window (attention.sliding_window positions), where the file
// has that key or default_len is not 0. All but every period-th, unless the file has a pattern of
// its own (attention.sliding_window_pattern).
struct Window {
  int period = 0;  // 0 = the architecture knows no windows
  int default_len = 0;
  bool first_sees_all = false;  // of each period the first layer, not the last, has no window
  bool chunked = false;  // positions part into chunks of the length: of one's own, those before
  bool needs_pattern = false;  // files always have a pattern of their own
  int fixed_len = 0;           // so many positions, whatever the key says beyond being there
  int only_with_n_layers = 0;  // other sizes have none; 0 = all have
  bool rope_in_windows_only = false;
  // Windowed layers turn with a base of their own: rope.freq_base_swa, else this; 0 = as the
  // others.
  float rope_base = 0;
  bool rope_unscaled = false;     // and without scaling
  bool rope_scale_alone = false;  // the frequency scale is 1, YaRN's mix stays
};

// A number that rows are multiplied with: by a key of the file, else by default.
struct Factor {
  const char* key = nullptr;  // nullptr = the architecture has no such factor
  float fallback = 1;
  bool divides = false;
};

// Biases without which a file is not whole. Others are optional wherever there is a matrix.
struct Biases {
  bool norms = false, qkv = false, attn_output = false, ffn = false, output = false;
};

struct Arch {
  std::string_view name;  // general.architecture
  RopeStyle rope = RopeStyle::norm;
  NormKind norm = NormKind::rms;
  Biases biases = {};
  bool norm_weights = true;  // false: norms without weights (OLMo)
  std::vector<Branch> layer;
  // Kinds of layers beside `layer`: LayerConfig::kind counts all from 0, which is `layer`.
  std::vector<std::vector<Branch>> other_layers = {};
  // Says the kind of each layer, whose numbers of heads and ff are read then; null = all are 0.
  void (*choose_kinds)(const Keys& keys, Config& config) = nullptr;
  Role output_norm = Role::output_norm;
  // What files name without ".weight" (llama.cpp `tn(role, layer)`).
  std::vector<Role> bare_roles = {};
  Window window = {};
  bool embedding_by_width = false;  // rows of the embedding times sqrt(n_embd) (Gemma)
  enum class EmbeddingNorm {
    none,
    with_weights,
    without_weights
  } embedding_norm = EmbeddingNorm::none;
  enum class PositionEmbedding {
    none,
    if_present,
    always
  } position_embedding = PositionEmbedding::none;
  Factor embedding_scale = {}, residual_scale = {}, logit_scale = {};
  std::optional<float> attn_softcap = {};   // attn_logit_softcapping, else this; 0 = none
  std::optional<float> final_softcap = {};  // final_logit_softcapping, else this; 0 = none
  bool attention_scale_key = false;         // attention.scale, where it is not 0, scales the scores
  bool scaled_queries = false;  // llama.cpp multiplies the scale into the queries: same result
  bool alibi_key = false;       // attention.max_alibi_bias
  bool clamp_key = false;       // attention.clamp_kqv
  // Several streams of residual, each with weights that depend on all of them: a block reads their
  // sum and is added to each (arXiv:2409.19606). sums: Hunyuan 4's way of it; mixes: streams are
  // mixed with one another before (DeepSeek V4; arXiv:2512.24880); gates: what is read is the mean
  // of the normed streams, each element times a gate (Qwen 4).
  enum class Hyper { none, sums, mixes, gates } hyper = Hyper::none;
  // In one layer, rows looked up by the latest ids are added to the streams (NgramConfig).
  bool ngrams = false;
  // Every attn_res.block_size layers the residual is kept and begins anew; blocks read a mixture of
  // it and those kept, by a softmax of a score of each (Kimi K3).
  bool residual_checkpoints = false;
  // Each layer adds the (normed) embedding, times layer_output_scale (Talkie).
  bool embedding_skip = false;
  // Two stacks of layers that take turns over two states (CycleConfig).
  bool cycles = false;
  // Files hold matrices for the tokens of pictures beside those of text (CogVLM); native computes
  // text.
  bool picture_matrices = false;
  // rope.scaling.yarn_log_multiplier bears on YaRN's magnitude: DeepSeek's way of scaling scores by
  // it; `both`: rotated keys and queries too.
  enum class YarnLog { none, scores, both } yarn_log = YarnLog::none;
  // Angles are divided by rope_freqs, or by rope_factors_long or _short as the context is, where
  // the file has them.
  bool rope_factors = false;
  bool tied_output = false;  // files hold no output matrix: that of the embedding serves
  bool output_bias = true;   // a bias of the output matrix counts, where the file has it
  bool causal = true;        // false: every token of an evaluation sees all of them, nothing before
  std::optional<float> post_norm_eps = {};  // where norms behind the blocks have one of their own
  int no_rope_period = 0;                   // every so-manieth layer does not rotate (SmolLM3)
  bool parallel_key = false;                // use_parallel_residual decides (GPT-NeoX)
  bool weight_scales = false;  // factors beside the matrices are part of the model (BitNet)
  // What sizes decide and no key says. Null = nothing.
  void (*adjust)(const Keys& keys, Config& config) = nullptr;
  // Under `ggml` numerics, what meets f16 weights (the output matrix) or f16 values stays f32
  // instead of being rounded to f16: so bitnet.cpp of Oct 2024 computes batches of two or more
  // tokens (its ggml's llamafile_sgemm). Single tokens it rounds; native has one arithmetic for
  // both, since its results do not depend on how a prompt is cut.
  bool f32_beside_f16 = false;

  const std::vector<Branch>& layer_of(int kind) const {
    return kind == 0 ? layer : other_layers[static_cast<size_t>(kind) - 1];
  }
  // Whether a branch of any kind of layer is so.
  template <typename Predicate>
  bool has_branch(Predicate is_so) const {
    for (int kind = 0; kind <= static_cast<int>(other_layers.size()); ++kind) {
      if (std::ranges::any_of(layer_of(kind), is_so)) return true;
    }
    return false;
  }
  // The first block of this type, and so, in any kind of layer; nullptr = none.
  template <typename Block, typename Predicate>
  const Block* find_block(Predicate is_so) const {
    const Block* found = nullptr;
    (void)has_branch([&](const Branch& branch) {
      const Block* block = std::get_if<Block>(&branch.block);
      if (block != nullptr && is_so(*block)) found = block;
      return found != nullptr;
    });
    return found;
  }
  template <typename Block>
  const Block* find_block() const {
    return find_block<Block>([](const Block&) { return true; });
  }
  // What chooses the positions that tokens see; nullptr = nothing does.
  const Indexer* find_indexer() const {
    const auto is_one = [](const auto& block) { return block.indexer.kind != Indexer::Kind::none; };
    const auto* latent = find_block<LatentAttention>(is_one);
    if (latent != nullptr) return &latent->indexer;
    const auto* attention = find_block<Attention>(is_one);
    return attention != nullptr ? &attention->indexer : nullptr;
  }
  const FeedForward* find_experts() const {
    return find_block<FeedForward>([](const FeedForward& ffn) { return ffn.has_experts; });
  }
};

// Whether a layer has a block of this type.
template <typename Block>
bool has_block(const std::vector<Branch>& layer) {
  return std::ranges::any_of(
      layer, [](const Branch& branch) { return std::holds_alternative<Block>(branch.block); });
}

}  // namespace crossval
