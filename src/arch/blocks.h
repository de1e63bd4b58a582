// The blocks that layers are made of, and how they stand in a layer. No arithmetic and no tensors:
// a row of the table of architectures (archs.cc) says with them what an architecture is; native
// computes it, replay expects it.
#pragma once

#include <optional>
#include <variant>
#include <vector>

#include "arch/role.h"

namespace crossval {

// Which pairs of a head's elements are rotated together (ggml: NORM pairs 2i, 2i+1; NEOX pairs
// i, i + n_dims/2).
// multi and interleaved rotate halves as NEOX does, each pair by the position of its section (time,
// height, width, other): arXiv:2409.12191; interleaved deals the sections out in turn (Qwen3-VL).
enum class RopeStyle { none, norm, neox, multi, interleaved };

enum class NormKind { rms, layer };  // layer: less the mean, over the standard deviation

enum class Act { silu, gelu, relu, relu_squared, swiglu_oai, situ };  // situ: Kimi K3

// Norms of queries and keys: none, one weight for every head, one for each head, or over the whole
// row of heads; plain: of each head, without weights; query_gain: the same, and then queries times
// one value a head.
enum class QkNorm { none, head, each_head, row, plain, query_gain };

// What chooses the positions that a token sees where there are more than attention.indexer.top_k;
// up to so many all are seen. Its queries and keys are heads of attention.indexer.key_length.
struct Indexer {
  enum class Kind {
    none,
    positions,   // by the weighted sum of each head's rectified product (arXiv:2512.02556)
    best_block,  // blocks of attention.indexer.block_size, for each head of keys: by the best
                 // product in it; the latest ones always (MiniMax M3)
    mean_block,  // blocks of attention.compress_ratios: by the sum of the rectified products with
                 // the mean of their keys; the block that is not whole always (Qwen 4)
  } kind = Kind::none;
  RopeStyle rope = RopeStyle::none;  // none = as the model's
  bool rotates_end = false;          // of each head the last elements, not the first
  // Of the norm of keys (positions); where there is none the model's.
  std::optional<float> norm_eps = {};
  // attention.indexer.types says which layers have one; others see what one before them chose.
  bool types_key = false;
  bool only_with_experts = false;  // layers before those with experts see everything
};

struct Attention {
  QkNorm qk_norm = QkNorm::none;
  bool qk_norm_optional = false;  // only where the file has its weights
  NormKind qk_norm_kind = NormKind::rms;
  bool qk_norm_after_rope = false;
  bool sinks = false;           // a logit per head that takes part in the softmax alone
  bool sinks_optional = false;  // only where the file has them
  bool temperature = false;     // Config::temperature, in layers that do not rotate
  Indexer indexer = {};
  Role sub_norm = Role::none;  // norm of the heads before they meet attn_output
  bool fused = false;          // queries, keys and values come from one matrix in every file
  bool grouped = true;         // false: as many heads of keys as of queries
  bool qkv_scale = true;       // factors beside attn_qkv, or the three matrices, count
  bool qkv_bias = true;        // and biases
  bool out_bias = true;        // a bias of attn_output counts
  // The heads are multiplied with this function of a product of the block's input: one value a
  // head or one an element, as the file has it.
  enum class Gate { none, sigmoid, softplus } gate = Gate::none;
  bool gates_heads = false;  // one value a head in every file
  // The gate comes out of attn_q, behind the queries of each head: one value an element.
  bool gate_behind_queries = false;
  const char* heads_tap = "kqv_out";  // llama.cpp's names
  const char* out_tap = "attn_out";
};

// Multi-head latent attention (arXiv:2405.04434, 2.1): of each token a short row is kept from which
// every head makes its keys and values, and beside it one rotated piece of key that all heads
// share. Where the file has attn_k_b and attn_v_b, queries meet the row itself instead (the
// "absorbed" form: the same sums in another order, with one key head).
struct LatentAttention {
  bool rotates = true;              // false: no piece of key is rotated, though it is shared
  bool q_row = true;                // queries are made of a row too, where the file has attn_q_a
  bool absorbs = true;              // files may have the absorbed form's matrices
  bool own_window_lengths = false;  // layers with a window have lengths of their own
  bool key_norm = false;            // of the shared piece of key, before it is rotated
  bool sinks = false;               // a logit per head that takes part in the softmax alone
  // Heads are multiplied with the sigmoid of a product: one value a head, or one an element.
  enum class Gate { none, head, element } gate = Gate::none;
  bool out_scale = true;     // a factor beside attn_output counts
  bool temperature = false;  // attention.temperature_scale: queries grow with their position
  bool yarn_scores = true;   // YaRN's magnitude bears on scores, not on the rotated parts
  Indexer indexer = {};
  // llama.cpp's names of the row before its norm and after, of queries and of keys.
  const char* row_tap = "kv_cmpr_pe";
  const char* latent_tap = "kv_cmpr";
  const char* query_tap = "Qcur";
  const char* key_tap = "Kcur";
};

// DeepSeek V4's: one head, whose keys are values too, of the positions of a window; and before it
// one row for every 4 or 128 positions (attention.compress_ratios), the softmax-weighted mean of
// rows of its tokens. Those of 4 overlap, each has the 4 positions before its own too, and an
// indexer chooses attention.indexer.top_k of them. Heads are turned back by their own position.
struct CompressedAttention {
  static constexpr int kShort = 4, kLong = 128;
};

struct Ffn {
  Act act = Act::silu;
  bool gated = true;
  // Gate and up are the halves of one matrix, ffn_up (chatglm's way of SwiGLU).
  bool fused = false;
  bool scales = false;      // factors beside the matrices count (llama.cpp hands them to build_ffn)
  bool down_scale = false;  // that of ffn_down alone
  bool biases = true;       // and biases
  Role sub_norm = Role::none;  // before ffn_down
  bool act_scales = false;     // the activation is divided by ffn.act, where the file has it
  const char* product_tap = "ffn_swiglu";
  const char* product_op = "SWIGLU";
  const char* out_tap = "ffn_out";
};

// How router logits become the experts' weights. softmax_weight: over the chosen ones alone; key:
// the file says it (expert_gating_func).
enum class Gating { softmax, sigmoid, softmax_weight, sqrt_softplus, key };

// Which layers have experts where the model has any: all, all but the first
// leading_dense_block_count, of those every interleave_moe_layer_step-th, of all every so-manieth,
// or those for which the file has a router.
enum class ExpertLayers { all, after_leading, interleaved, every_step, with_router };

struct Experts {
  Act act = Act::silu;
  bool gated = true;  // and so the shared ones
  Gating gating = Gating::softmax;
  enum class Norm { no, yes, key } weights_norm = Norm::yes;  // key: expert_weights_norm
  ExpertLayers layers = ExpertLayers::all;
  // What the best are chosen by: where probabilities round to 1, logits still differ.
  enum class Choice { probabilities, logits, sigmoids } choice = Choice::probabilities;
  bool selection_bias = false;  // exp_probs_b, where the file has it
  bool biases = false;          // of router and experts
  bool scale_key = false;       // expert_weights_scale is read
  bool shared = false;          // a feed-forward part beside the experts that every token takes
  bool shared_gate = false;     // multiplied with the sigmoid of a product of its own
  const char* shared_tap = "ffn_shexp_out";  // llama.cpp's name of that
  bool scales = false;
  bool default_sigmoid = false;           // where the file does not say the gating
  bool router_reads_layer_input = false;  // not what the block reads (SmallThinker)
  bool weights_before = false;  // inputs of experts are weighted, not their results (Llama 4)
  bool clamp_key = false;       // swiglu_clamp_exp limits gate and up
  bool clamp_shared = false;    // and swiglu_clamp_shexp those of shared ones and dense parts
  bool picture_bias = false;    // files may hold exp_probs_b_vl, for the tokens of pictures
  bool clamp_after = false;     // not the gate but its activation is limited
  bool latent = false;          // experts read a shorter row of expert_latent_length, and make one
  bool shared_fused = false;    // gate and up of the shared experts are one matrix
  // Groups of experts share smaller ones, which read the experts' sum (Grove MoE).
  bool adjugate = false;
  bool dense_beside = false;  // a dense part is added to the experts' sum (Grok)
  float sum_factor = 1;       // of the sum of experts and what stands beside them
  bool left_out = false;      // files have them, and the activation alone is computed (Refact)
};

// A feed-forward part: dense, or experts in the layers that have them.
struct FeedForward {
  Ffn dense;
  bool has_experts = false;
  Experts experts = {};
};

// A short convolution along the tokens, then a state that every token's step writes to and reads
// from: state' = e^(dt A) state + dt x B, y = state' . C.
struct SelectiveScan {
  // mamba1 (arXiv:2312.00752): a step for each channel, made from few elements of dt; mamba2
  // (arXiv:2405.21060): for each head, with B and C behind the convolution too; plamo2: heads as
  // mamba2, the rest as mamba1.
  enum class Form { mamba1, mamba2, plamo2 } form = Form::mamba1;
  bool dt_b_c_norms = false;  // with weights (ssm_dt_norm, ssm_b_norm, ssm_c_norm)
  // Of the gated result, each group of it apart (ssm_norm).
  enum class GroupNorm { no, optional, yes } group_norm = GroupNorm::no;
  bool scales = true;  // factors beside ssm_in and ssm_out count
  const char* out_tap = nullptr;
};

// A convolution over few tokens between two gates (LFM2): out(c * conv(b * x)).
struct ShortConv {
  const char* out_tap = nullptr;
};

// A state for each head of values that every token decays and corrects where its key reads
// (arXiv:2412.06464): S' = e^g S + beta k (v - (e^g S) k)^T, y = q . S'. Queries, keys and values
// come through a short convolution; y is normed and gated.
struct GatedDeltaNet {
  // Heads of values that share a key lie together, with their beta and g in one matrix
  // (Qwen3-Next); else as far from one another as there are keys, and beta and g have a matrix each
  // (Qwen3.5).
  bool grouped = false;
  bool scales = false;        // factors beside the matrices count
  bool sigmoid_gate = false;  // not silu
};

// Kimi Delta Attention (arXiv:2510.26692): the same with a decay for each element of a key instead
// of one for all of them, S' = S Diag(e^g) + ..., as many heads of keys as of values, a matrix and
// a convolution for each of queries, keys and values, and a gate of sigmoids.
struct ChannelDeltaNet {
  bool fused = true;       // queries, keys and values may come from one matrix
  bool decay_row = true;   // g is made by way of a short row: ssm_f_a, then ssm_f_b
  bool gate_row = true;    // and so the gate: ssm_g_a, then ssm_g_b
  Role gate = Role::none;  // where it has one matrix: that
  // g = a softplus(x), or, where kda.gate_lower_bound is finite, that bound times sigmoid(a x).
  enum class Bound { never, key, negated_key } bound = Bound::never;  // negated: sigmoid(-a x)
  bool flat_a = false;  // files hold a without a dimension of one before the heads
};

// Lightning attention (arXiv:2401.04658): a state for each head that every token decays by a number
// of the head and the layer, S' = e^-r S + k v^T, y = q . S'; y is normed and gated.
struct LightningAttention {};

// One way through a layer: x += post_norm(block(norm(x))).
struct Branch {
  Role norm = Role::none;  // before the block; none = it reads x as it is
  // Where the file has no such norm, the block reads what this one makes; none = what the norm
  // before made.
  bool norm_optional = false;
  Role norm_instead = Role::none;
  std::variant<Attention, LatentAttention, CompressedAttention, FeedForward, SelectiveScan,
               ShortConv, GatedDeltaNet, ChannelDeltaNet, LightningAttention>
      block;
  Role post_norm = Role::none;          // of the block's result
  Role post_norm_instead = Role::none;  // its other name in files
  // Reads what the layer got, not what the branch before it made of it.
  bool parallel = false;
  // The sum is of the block's result and what the norm made, times the residual scale, not of x.
  bool onto_norm = false;
  bool is_dense = false;  // stays dense where other branches of the layer have experts (Arctic)
  // Of residual checkpoints (Arch::residual_checkpoints): what scores them.
  Role checkpoint_score = Role::none;
  // Of hyper connections: the matrix that weighs the streams, and what its products meet.
  Role hyper_fn = Role::none, hyper_base = Role::none, hyper_scale = Role::none;
  // Of those that gate each element (Arch::Hyper::gates): the streams' norm, the gate by way of a
  // short row, and the matrix of the weights for adding.
  Role hyper_norm = Role::none, hyper_down = Role::none, hyper_up = Role::none,
       hyper_inject = Role::none;
  // llama.cpp's names for the normed input, the normed result and the sum.
  const char* norm_tap = nullptr;
  const char* post_tap = nullptr;
  const char* sum_tap = nullptr;
};

// Whether the block has heads that look at positions.
inline bool is_attention(const Branch& branch) {
  return std::holds_alternative<Attention>(branch.block) ||
         std::holds_alternative<LatentAttention>(branch.block) ||
         std::holds_alternative<CompressedAttention>(branch.block);
}

// Whether the block has a state that tokens change in turn, instead of keys and values.
inline bool is_recurrent(const Branch& branch) {
  return !is_attention(branch) && !std::holds_alternative<FeedForward>(branch.block);
}

// Attention, then the feed-forward part, each behind its norm: what most models are.
template <typename AnyAttention = Attention>
std::vector<Branch> pre_norm_layer(const AnyAttention& attention, const FeedForward& ffn) {
  return {
      {.norm = Role::attn_norm, .block = attention, .norm_tap = "attn_norm", .sum_tap = "ffn_inp"},
      {.norm = Role::ffn_norm, .block = ffn, .norm_tap = "ffn_norm", .sum_tap = "l_out"}};
}

// The same with the norms behind the blocks alone (OLMo 2, EXAONE 4).
inline std::vector<Branch> post_norm_layer(const Attention& attention, const FeedForward& ffn) {
  return {{.block = attention,
           .post_norm = Role::attn_post_norm,
           .post_tap = "attn_post_norm",
           .sum_tap = "ffn_inp"},
          {.block = ffn,
           .post_norm = Role::ffn_post_norm,
           .post_tap = "ffn_post_norm",
           .sum_tap = "l_out"}};
}

// With norms on both sides of the blocks (Gemma 2, GLM-4).
inline std::vector<Branch> both_norms_layer(const Attention& attention, const FeedForward& ffn) {
  std::vector<Branch> layer = pre_norm_layer(attention, ffn);
  layer[0].post_norm = Role::attn_post_norm;
  layer[0].post_tap = "attn_post_norm";
  layer[1].post_norm = Role::ffn_post_norm;
  layer[1].post_tap = "ffn_post_norm";
  return layer;
}

// Both blocks read the layer's input; with one norm for both where `ffn_norm` is attn_norm.
inline std::vector<Branch> parallel_layer(const Attention& attention, const FeedForward& ffn,
                                          Role ffn_norm = Role::attn_norm) {
  std::vector<Branch> layer = pre_norm_layer(attention, ffn);
  layer[0].sum_tap = nullptr;
  layer[1].norm = ffn_norm;
  layer[1].norm_tap = ffn_norm == Role::attn_norm ? nullptr : "ffn_norm";
  layer[1].parallel = true;
  return layer;
}

}  // namespace crossval
