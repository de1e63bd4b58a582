#include "arch/tensors.h"

#include <fmt/format.h>

#include <algorithm>

#include "arch/recurrent.h"
#include "arch/sparse_attention.h"
#include "arch/streams.h"

namespace crossval {
namespace {

// Lists the specs of one layer, or of what stands outside the layers (layer -1).
class Lister {
 public:
  Lister(const Arch& arch, const Config& config, int layer, std::vector<TensorSpec>& out)
      : biases(arch.biases), config_(config), layer_(layer), out_(out) {}

  const Biases& biases;
  bool expert_biases = false;

  void norm(Role role, int64_t n, bool required = true) {
    if (role != Role::none)
      out_.push_back({.role = role, .layer = layer_, .shape = {n}, .required = required});
  }
  // A norm of the residual stream; branches may share one.
  void layer_norm(Role role, bool required = true) {
    const auto is_it = [&](const TensorSpec& spec) {
      return spec.role == role && spec.layer == layer_;
    };
    if (role == Role::none || std::ranges::any_of(out_, is_it)) return;
    norm(role, config_.n_embd, required);
    last().needs_bias = biases.norms;
  }
  void each_head_norm(Role role, int64_t n, int64_t n_heads, bool required) {
    out_.push_back({.role = role, .layer = layer_, .shape = {n, n_heads}, .required = required});
  }
  void matrix(Role role, int64_t ne0, int64_t ne1, bool required = true, bool uses_scale = true) {
    out_.push_back({.role = role,
                    .layer = layer_,
                    .shape = {ne0, ne1},
                    .required = required,
                    .is_linear = true,
                    .uses_scale = uses_scale});
  }
  void experts(Role role, int64_t ne0, int64_t ne1, bool uses_scale) {
    out_.push_back({.role = role,
                    .layer = layer_,
                    .shape = {ne0, ne1, config_.experts.n_experts},
                    .is_linear = true,
                    .uses_scale = uses_scale,
                    .needs_bias = expert_biases});
  }
  void vector(Role role, int64_t n, bool required, bool is_bias = false) {
    out_.push_back(
        {.role = role, .layer = layer_, .shape = {n}, .required = required, .is_bias = is_bias});
  }
  TensorSpec& last() { return out_.back(); }
  std::string queries_norm_name() const {
    return TensorSpec{.role = Role::attn_q_norm, .layer = layer_}.name();
  }

 private:
  const Config& config_;
  int layer_;
  std::vector<TensorSpec>& out_;
};

// One value an element of the heads, or one a head where the file has so few.
void list_gate(const ModelFile& model, const Config& config, const LayerConfig& layer,
               int64_t n_heads_elements, Lister& list) {
  list.matrix(Role::attn_gate, config.n_embd, n_heads_elements, true, false);
  const TensorView* gate = model.find_tensor(list.last().name());
  if (gate != nullptr && gate->n_rows() == layer.n_heads) list.last().shape[1] = layer.n_heads;
}

void list_attention(const ModelFile& model, const Attention& attention, const Config& config,
                    const LayerConfig& layer, bool is_fused, Lister& list) {
  const int64_t n_q = int64_t{layer.n_heads} * config.head_dim;
  const int64_t n_q_out = attention.gate_behind_queries ? 2 * n_q : n_q;
  const int64_t n_kv = int64_t{layer.n_kv_heads} * config.head_dim;
  const int64_t n_v = int64_t{layer.n_kv_heads} * config.value_dim;
  const int64_t n_out = int64_t{layer.n_heads} * config.value_dim;
  if (is_fused) {
    list.matrix(Role::attn_qkv, config.n_embd, n_q_out + n_kv + n_v, true, attention.qkv_scale);
    list.last().needs_bias = list.biases.qkv;
    list.last().uses_bias = attention.qkv_bias;
  } else {
    const auto matrix = [&](Role role, int64_t n_rows) {
      list.matrix(role, config.n_embd, n_rows, true, attention.qkv_scale);
      list.last().uses_bias = attention.qkv_bias;
    };
    matrix(Role::attn_q, n_q_out);
    matrix(Role::attn_k, n_kv);
    matrix(Role::attn_v, n_v);
  }
  const bool required = !attention.qk_norm_optional;
  switch (attention.qk_norm) {
    case QkNorm::none:
    case QkNorm::plain:
      break;
    case QkNorm::query_gain:
      list.each_head_norm(Role::attn_q_norm, 1, layer.n_heads, required);
      break;
    case QkNorm::head:
      list.norm(Role::attn_q_norm, config.head_dim, required);
      list.norm(Role::attn_k_norm, config.head_dim, required);
      break;
    case QkNorm::each_head:
      list.each_head_norm(Role::attn_q_norm, config.head_dim, layer.n_heads, required);
      list.each_head_norm(Role::attn_k_norm, config.head_dim, layer.n_kv_heads, required);
      break;
    case QkNorm::row:
      list.norm(Role::attn_q_norm, n_q, required);
      list.norm(Role::attn_k_norm, n_kv, required);
      // MPT's: without that of queries that of keys is not looked at.
      list.last().is_used = required || model.find_tensor(list.queries_norm_name()) != nullptr;
      break;
  }
  if (attention.gate != Attention::Gate::none && !attention.gate_behind_queries) {
    list_gate(model, config, layer, attention.gates_heads ? layer.n_heads : n_out, list);
  }
  if (attention.sinks) list.vector(Role::attn_sinks, layer.n_heads, !attention.sinks_optional);
  list.norm(attention.sub_norm, n_out);
  list.matrix(Role::attn_output, n_out, config.n_embd);
  list.last().uses_bias = attention.out_bias;
  list.last().needs_bias = list.biases.attn_output;
}

// Neither scales nor biases beside these matrices count, but a scale of attn_output.
void list_latent(const LatentAttention& attention, const Config& config, const LayerConfig& layer,
                 Lister& list) {
  const LatentConfig& latent = layer.latent;
  const int64_t n_heads = layer.n_heads, n_rot = config.rope.n_dims;
  const int64_t n_plain = latent.key_len - n_rot;  // of each head's key, what is not rotated
  const auto matrix = [&](Role role, int64_t ne0, int64_t ne1) {
    list.matrix(role, ne0, ne1, true, false);
    list.last().uses_bias = false;
  };
  const auto each_head = [&](Role role, int64_t ne0, int64_t ne1) {
    matrix(role, ne0, ne1);
    list.last().shape[2] = n_heads;
  };
  if (latent.q_rank > 0) {
    matrix(Role::attn_q_a, config.n_embd, latent.q_rank);
    list.norm(Role::attn_q_a_norm, latent.q_rank);
    matrix(Role::attn_q_b, latent.q_rank, n_heads * latent.key_len);
  } else {
    matrix(Role::attn_q, config.n_embd, n_heads * latent.key_len);
  }
  matrix(Role::attn_kv_a_mqa, config.n_embd, latent.rank + n_rot);
  list.norm(Role::attn_kv_a_norm, latent.rank);
  if (latent.absorbed) {
    each_head(Role::attn_k_b, n_plain, latent.rank);
    each_head(Role::attn_v_b, latent.rank, latent.value_len);
  } else {
    matrix(Role::attn_kv_b, latent.rank, n_heads * (n_plain + latent.value_len));
  }
  if (attention.sinks) list.vector(Role::attn_sinks, n_heads, true);
  if (attention.key_norm) list.norm(Role::attn_k_norm, n_rot);
  if (attention.gate != LatentAttention::Gate::none) {
    const bool by_head = attention.gate == LatentAttention::Gate::head;
    matrix(Role::attn_gate, config.n_embd, by_head ? n_heads : n_heads * latent.value_len);
  }
  list.matrix(Role::attn_output, n_heads * latent.value_len, config.n_embd, true,
              attention.out_scale);
  list.last().uses_bias = false;
}

// Files have them, and texts do without (Arch::picture_matrices).
void list_picture_matrices(const Config& config, const LayerConfig& layer, Lister& list) {
  const int64_t n_heads = int64_t{layer.n_heads} * config.head_dim;
  const auto matrix = [&](Role role, int64_t ne0, int64_t ne1) {
    list.matrix(role, ne0, ne1);
    list.last().is_used = false;
  };
  matrix(Role::vis_attn_qkv, config.n_embd, 3 * n_heads);
  matrix(Role::vis_attn_output, n_heads, config.n_embd);
  matrix(Role::vis_gate, config.n_embd, layer.n_ff);
  matrix(Role::vis_up, config.n_embd, layer.n_ff);
  matrix(Role::vis_down, layer.n_ff, config.n_embd);
}

void list_ffn(const Ffn& ffn, const Config& config, int64_t n_ff, Lister& list) {
  const auto matrix = [&](Role role, int64_t ne0, int64_t ne1) {
    const bool scaled = ffn.scales || (ffn.down_scale && role == Role::ffn_down);
    list.matrix(role, ne0, ne1, true, scaled);
    list.last().uses_bias = ffn.biases;
    list.last().needs_bias = list.biases.ffn;
  };
  if (ffn.gated && !ffn.fused) matrix(Role::ffn_gate, config.n_embd, n_ff);
  matrix(Role::ffn_up, config.n_embd, ffn.fused ? 2 * n_ff : n_ff);
  list.norm(ffn.sub_norm, n_ff);
  matrix(Role::ffn_down, n_ff, config.n_embd);
  if (ffn.act_scales) {
    list.vector(Role::ffn_act, n_ff, false);
    list.last().is_scales = true;
  }
}

void list_experts(const ModelFile& model, const FeedForward& ffn, const Config& config,
                  const LayerConfig& layer, Lister& list) {
  const Experts& experts = ffn.experts;
  const ExpertConfig& e = config.experts;
  const int n_ff = layer.n_ff_expert;
  list.matrix(Role::ffn_gate_inp, config.n_embd, e.n_experts, true, false);
  list.last().needs_bias = experts.biases;
  if (layer.experts_by_token) {
    list.vector(Role::ffn_gate_tid2eid, layer.n_experts_used, true);
    list.last().shape[1] = config.n_vocab;
    list.last().is_table = true;
  } else if (experts.selection_bias) {
    list.vector(Role::exp_probs_b, e.n_experts, false, true);
  }
  if (experts.picture_bias) {
    list.vector(Role::exp_probs_b_vl, e.n_experts, false, true);
    list.last().is_used = false;
  }
  list.expert_biases = experts.biases;
  const int64_t n_in = e.n_latent != 0 ? e.n_latent : config.n_embd;
  if (e.n_latent != 0) {
    list.matrix(Role::ffn_routed_down, config.n_embd, n_in, true, false);
    list.norm(Role::ffn_routed_norm, n_in, false);
    list.matrix(Role::ffn_routed_up, n_in, config.n_embd, true, false);
  }
  // Gate and up in one, where the file has them so.
  list.experts(Role::ffn_gate_up_exps, n_in, 2 * int64_t{n_ff}, experts.scales);
  if (!experts.gated || model.find_tensor(list.last().name()) == nullptr) {
    list.last().role = experts.gated ? Role::ffn_gate_exps : Role::ffn_up_exps;
    list.last().shape[1] = n_ff;
    if (experts.gated) list.experts(Role::ffn_up_exps, n_in, n_ff, experts.scales);
  }
  list.experts(Role::ffn_down_exps, n_ff, n_in, experts.scales);
  if (experts.layers == ExpertLayers::with_router) {
    for (const Role role : {Role::ffn_gate, Role::ffn_up, Role::ffn_down}) {
      const bool is_down = role == Role::ffn_down;
      list.matrix(role, is_down ? layer.n_ff : config.n_embd, is_down ? config.n_embd : layer.n_ff,
                  false);
      list.last().is_used = false;
    }
  }
  if (experts.dense_beside) list_ffn(ffn.dense, config, layer.n_ff, list);
  if (experts.adjugate) {
    const int64_t n_chunks = e.n_experts / e.n_sharing;
    for (const Role role : {Role::ffn_gate_chexps, Role::ffn_up_chexps, Role::ffn_down_chexps}) {
      const bool down = role == Role::ffn_down_chexps;
      list.experts(role, down ? e.n_ff_adjugate : config.n_embd,
                   down ? config.n_embd : e.n_ff_adjugate, experts.scales);
      list.last().shape[2] = n_chunks;
    }
  }
  if (e.n_ff_shared == 0) return;
  const int64_t n_up = experts.shared_fused ? 2 * int64_t{e.n_ff_shared} : e.n_ff_shared;
  if (!experts.shared_fused && experts.gated) {
    list.matrix(Role::ffn_gate_shexp, config.n_embd, e.n_ff_shared, true, experts.scales);
  }
  list.matrix(Role::ffn_up_shexp, config.n_embd, n_up, true, experts.scales);
  list.matrix(Role::ffn_down_shexp, e.n_ff_shared, config.n_embd, true, experts.scales);
  if (experts.shared_gate) list.vector(Role::ffn_gate_inp_shexp, config.n_embd, true);
}

}  // namespace

std::string TensorSpec::stem() const {
  return layer < 0 ? std::string(role_name(role))
                   : fmt::format("blk.{}.{}", block < 0 ? layer : block, role_name(role));
}

// llama.cpp looks for scales under the layer's own number (`load_tensors`).
std::string TensorSpec::scale_name() const {
  TensorSpec own = *this;
  own.block = -1;
  return own.stem() + ".scale";
}

std::vector<TensorSpec> tensors_of(const ModelFile& model, const Arch& arch, const Config& config) {
  std::vector<TensorSpec> all;
  Lister outside(arch, config, -1, all);
  outside.matrix(Role::token_embd, config.n_embd, config.n_vocab);
  outside.matrix(Role::output, config.n_embd, config.n_vocab, false);
  outside.last().uses_bias = arch.output_bias;
  outside.last().needs_bias = arch.biases.output;
  if (arch.norm_weights) outside.layer_norm(arch.output_norm);
  if (arch.embedding_norm == Arch::EmbeddingNorm::with_weights)
    outside.layer_norm(Role::token_embd_norm);
  if (arch.position_embedding != Arch::PositionEmbedding::none) {
    outside.matrix(Role::position_embd, config.n_embd, config.n_ctx_train,
                   arch.position_embedding == Arch::PositionEmbedding::always);
  }
  for (const Role role : {Role::rope_freqs, Role::rope_factors_long, Role::rope_factors_short}) {
    outside.vector(role, arch.rope_factors ? config.rope.n_dims / 2 : 0, false);
    outside.last().is_used = arch.rope_factors;
  }
  list_streams(model, arch, config, all);
  if (config.checkpoint_period != 0) outside.vector(Role::output_res_score, config.n_embd, true);
  if (arch.cycles) {
    outside.vector(Role::hrm_z_l_init, config.n_embd, true);
    outside.last().is_bare = true;
  }
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const LayerConfig& sizes = config.layers[static_cast<size_t>(layer)];
    Lister list(arch, config, layer, all);
    list_streams_of_layer(config, layer, all);
    if (arch.embedding_skip) list.vector(Role::layer_output_scale, 1, true);
    if (arch.picture_matrices) list_picture_matrices(config, sizes, list);
    const TensorSpec fused = {.role = Role::attn_qkv, .layer = layer};
    for (const Branch& branch : arch.layer_of(sizes.kind)) {
      if (arch.norm_weights) {
        list.layer_norm(branch.norm, !branch.norm_optional);
        list.layer_norm(branch.post_norm, branch.post_norm_instead == Role::none);
        list.layer_norm(branch.post_norm_instead, false);
      }
      list_streams_of_branch(arch, branch, config, layer, all);
      if (config.checkpoint_period != 0) {
        list.vector(branch.checkpoint_score, config.n_embd, true);
      }
      if (const auto* attention = std::get_if<Attention>(&branch.block)) {
        list_attention(model, *attention, config, sizes,
                       attention->fused || model.find_tensor(fused.name()) != nullptr, list);
        if (sizes.has_indexer) list_indexer(attention->indexer.kind, config, layer, all);
        continue;
      }
      if (const auto* latent = std::get_if<LatentAttention>(&branch.block)) {
        list_latent(*latent, config, sizes, list);
        if (sizes.has_indexer) list_indexer(latent->indexer.kind, config, layer, all);
        continue;
      }
      if (std::holds_alternative<CompressedAttention>(branch.block)) {
        list_compressed(model, config, layer, all);
        continue;
      }
      if (list_recurrent(model, branch, config, layer, all)) continue;
      const auto& ffn = std::get<FeedForward>(branch.block);
      if (sizes.has_experts && !branch.is_dense) {
        const size_t first = all.size();
        list_experts(model, ffn, config, sizes, list);
        for (size_t i = first; ffn.experts.left_out && i < all.size(); ++i) all[i].is_used = false;
      } else {
        list_ffn(ffn.dense, config, sizes.n_ff, list);
      }
    }
  }
  for (TensorSpec& spec : all) {
    if (arch.cycles && spec.layer >= 0) spec.block = config.cycles.block_of(spec.layer);
    if (std::ranges::find(arch.bare_roles, spec.role) != arch.bare_roles.end()) spec.is_bare = true;
  }
  return all;
}

std::set<std::string> known_tensors(const ModelFile& model, const Arch& arch,
                                    const Config& config) {
  std::set<std::string> known;
  for (const TensorSpec& spec : tensors_of(model, arch, config)) {
    known.insert(spec.name());
    if (!spec.is_used) {
      for (const char* end : {"", ".weight", ".scale"}) known.insert(spec.stem() + end);
    }
    if (spec.is_linear) known.insert(spec.scale_name());
    if (!spec.is_bias || !spec.is_used) known.insert(spec.stem() + ".bias");
  }
  return known;
}

}  // namespace crossval
