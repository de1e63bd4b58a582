#include "replay/expect_structure.h"

#include <algorithm>
#include <cmath>
#include <variant>

#include "arch/tensors.h"

namespace crossval {
namespace {

class LayerCounter {
 public:
  LayerCounter(const ModelFile& model, const Arch& arch, const Config& config, int layer)
      : model_(model), arch_(arch), config_(config), layer_(layer) {}

  LayerStructure count() {
    const std::vector<Branch>& branches = arch_.layer_of(sizes().kind);
    for (const Branch& branch : branches) {
      count_norms(branch);
      std::visit([this, &branch](const auto& block) { count_block(block, branch); }, branch.block);
      if (arch_.hyper != Arch::Hyper::none) {
        count_streams();
      } else if (config_.checkpoint_period != 0) {
        count_checkpoints(&branch == branches.data());
      } else {
        need(OpKind::sum, 1, "residual");
      }
      scale(config_.residual_scale);
    }
    if (arch_.embedding_skip) need(OpKind::sum, 1, "embedding");
    const bool has_both = branches.size() == 2 && branches[0].norm == Role::attn_norm &&
                          branches[1].norm == Role::ffn_norm && has(Role::attn_norm) &&
                          has(Role::ffn_norm);
    if (has_both) out_.is_parallel = branches[1].parallel || config_.parallel;
    if (arch_.cycles) count_cycle();
    if (layer_ == config_.ngrams.layer) out_.is_known = false;
    return std::move(out_);
  }

 private:
  const LayerConfig& sizes() const { return config_.layers[static_cast<size_t>(layer_)]; }
  bool has(Role role) const {
    TensorSpec spec{.role = role, .layer = layer_};
    if (arch_.cycles) spec.block = config_.cycles.block_of(layer_);
    spec.is_bare = std::ranges::find(arch_.bare_roles, role) != arch_.bare_roles.end();
    return model_.find_tensor(spec.name()) != nullptr;
  }
  void need(OpKind kind, int n, const char* word) {
    OpCount& count = out_.of(kind);
    count.least += n;
    count.most += n;
    if (n > 0 && std::ranges::find(count.words, word) == count.words.end()) {
      count.words.push_back(word);
    }
  }
  void may(OpKind kind, int n) { out_.of(kind).most += n; }
  void scale(double factor) { out_.factor *= factor; }
  void limit(float value) {
    if (std::ranges::find(out_.limits, value) == out_.limits.end()) out_.limits.push_back(value);
  }
  void cap(float value) {
    if (value != 0) out_.softcaps.push_back(value);
  }
  // Of gate and up, or of the activated gate and up.
  void clamp_gate(float value, const char* word) {
    if (value == 0) return;
    need(OpKind::clamp, 2, word);
    limit(value);
  }

  void count_norms(const Branch& branch) {
    const bool is_shared = branch.parallel && branch.norm_tap == nullptr;
    const bool is_left_out = branch.norm_optional && !has(branch.norm);
    if (branch.norm != Role::none && !is_shared &&
        (!is_left_out || branch.norm_instead != Role::none)) {
      need(OpKind::norm, 1, "of the block's input");
    }
    if (branch.post_norm != Role::none) need(OpKind::norm, 1, "of the block's result");
  }

  // A pass ends with a norm without weights, that of the last is the output's; the next begins with
  // the sum of both states.
  void count_cycle() {
    if ((layer_ + 1) % config_.cycles.n_layers != 0 || layer_ + 1 == config_.n_layers) return;
    need(OpKind::norm, 1, "of the pass");
    need(OpKind::sum, 1, "both states");
  }

  // A block reads the streams' sum, each by the sigmoid of a product of all of them, and is added
  // to each by another.
  void count_streams() {
    if (arch_.hyper != Arch::Hyper::sums) {
      out_.is_known = false;
      return;
    }
    const int n = config_.hyper.count;
    need(OpKind::norm, 1, "of the streams");
    need(OpKind::sigmoid, 2, "weights of the streams");
    need(OpKind::times, 2 * n, "weights of the streams");
    need(OpKind::sum, 2 * n - 1, "streams");
    scale(config_.hyper.magnitude);
    if (config_.hyper.added_eps == config_.hyper.eps) out_.summand = config_.hyper.eps;
  }

  // What was kept and the residual, each by the softmax of a score. Nothing is kept before the
  // first layer, and where something is, the residual begins anew.
  void count_checkpoints(bool is_first) {
    const bool keeps = is_first && layer_ % config_.checkpoint_period == 0;
    if (!keeps) need(OpKind::sum, 1, "residual");
    if (layer_ == 0 && is_first) return;
    need(OpKind::norm, 2, "of what is scored");
    need(OpKind::row_sum, 2, "scores of residuals");
    need(OpKind::softmax, 1, "scores of residuals");
    need(OpKind::times, 1, "residual, by its score");
    need(OpKind::sum, 1, "residuals, by their scores");
  }

  void count_scores(double kq_scale) {
    need(OpKind::product, 2, "scores, heads");
    need(OpKind::softmax, 1, "attention");
    ++out_.n_masks;
    if (config_.attn_softcap != 0) need(OpKind::tanh, 1, "soft cap of the scores");
    cap(config_.attn_softcap);
    scale(kq_scale);
  }

  void count_block(const Attention& attention, const Branch&) {
    if (sizes().n_heads == 0) return;
    if (attention.indexer.kind != Indexer::Kind::none) out_.is_known = false;
    count_scores(config_.kq_scale_of(layer_));
    if (sizes().has_rope) need(OpKind::rope, 2, "queries, keys");
    const bool has_norm = attention.qk_norm != QkNorm::none && sizes().has_qk_norm &&
                          (!attention.qk_norm_optional || has(Role::attn_q_norm));
    if (has_norm) need(OpKind::norm, 2, "of queries and keys");
    if (config_.clamp_qkv != 0) {
      const TensorSpec fused{.role = Role::attn_qkv, .layer = layer_};
      need(OpKind::clamp, model_.find_tensor(fused.name()) != nullptr ? 1 : 3,
           "queries, keys, values");
      limit(config_.clamp_qkv);
    }
    if (attention.temperature && !sizes().has_rope && config_.temperature.scale != 0) {
      need(OpKind::times, 1, "temperature of the queries");
    }
    if (attention.sub_norm != Role::none) need(OpKind::norm, 1, "of the heads");
    if (attention.gate_behind_queries || attention.gate != Attention::Gate::none) {
      need(attention.gate == Attention::Gate::softplus ? OpKind::softplus : OpKind::sigmoid, 1,
           "gate of the heads");
      need(OpKind::times, 1, "gate of the heads");
    }
    scale(config_.attention_factor);
  }

  void count_block(const LatentAttention& attention, const Branch&) {
    count_scores(config_.kq_scale_of(layer_));
    if (attention.rotates) need(OpKind::rope, 2, "queries, keys");
    if (sizes().latent.q_rank > 0) need(OpKind::norm, 1, "of the queries' row");
    need(OpKind::norm, 1, "of the row of keys and values");
    if (attention.key_norm) need(OpKind::norm, 1, "of the shared key");
    if (attention.gate != LatentAttention::Gate::none) {
      need(OpKind::sigmoid, 1, "gate of the heads");
      need(OpKind::times, 1, "gate of the heads");
    }
    if (attention.temperature && config_.temperature.scale != 0) {
      need(OpKind::times, 1, "temperature of the queries");
    }
    if (attention.indexer.kind != Indexer::Kind::none) count_indexer(attention.indexer);
  }

  // What it chooses goes into the mask.
  void count_indexer(const Indexer& indexer) {
    if (indexer.kind != Indexer::Kind::positions || config_.indexer.n_heads == 0) {
      out_.is_known = false;
      return;
    }
    if (!sizes().has_indexer) return may(OpKind::sum, 1);  // by what the layer before chose
    need(OpKind::sum, 1, "the indexer's mask");
    for (size_t next = static_cast<size_t>(layer_) + 1;
         next < config_.layers.size() && !config_.layers[next].has_indexer; ++next) {
      may(OpKind::sum, 1);  // theirs, which read nothing of their own layer
    }
    need(OpKind::norm, 1, "of the indexer's key");
    need(OpKind::rope, 2, "the indexer's query and key");
    may(OpKind::product, 2);  // llama.cpp turns both by one matrix more
    scale(1 / std::sqrt(static_cast<double>(config_.indexer.n_heads) * config_.indexer.key_len));
  }

  void count_block(const CompressedAttention&, const Branch&) { out_.is_known = false; }

  void count_gate(Act act, bool gated, const char* word) {
    if (act == Act::situ) {  // gate times its sigmoid, gate and up behind soft caps
      need(OpKind::sigmoid, 1, word);
      need(OpKind::times, 2, word);
      cap(config_.situ_beta);
      cap(config_.situ_linear_beta);
      need(OpKind::tanh, (config_.situ_beta != 0) + (config_.situ_linear_beta != 0), word);
      return;
    }
    need(OpKind::activation, 1, word);
    if (act == Act::swiglu_oai) limit(7);  // gpt-oss' own (llama-graph.cpp)
    if (act == Act::relu_squared) need(OpKind::square, 1, word);
    if (gated) need(OpKind::times, 1, word);
  }

  void count_dense(const Ffn& ffn) {
    count_gate(ffn.act, ffn.gated, "feed-forward part");
    if (ffn.sub_norm != Role::none) need(OpKind::norm, 1, "of the feed-forward part");
    clamp_gate(sizes().shared_clamp, "feed-forward part");
  }

  void count_block(const FeedForward& ffn, const Branch& branch) {
    if (!sizes().has_experts || branch.is_dense) {
      return count_dense(ffn.dense);
    }
    count_experts(ffn.experts);
    if (ffn.experts.dense_beside && has(Role::ffn_up)) {
      count_dense(ffn.dense);
      need(OpKind::sum, 1, "experts and the dense part");
    }
    scale(ffn.experts.sum_factor);
  }

  // Routing, the experts' results weighed and added.
  void count_chosen(const Experts& experts, int n_used) {
    const ExpertConfig& config = config_.experts;
    const bool is_sigmoid = config.gating == Gating::sigmoid;
    if (config.gating == Gating::sqrt_softplus) out_.is_known = false;
    need(is_sigmoid ? OpKind::sigmoid : OpKind::softmax, 1, "the router's probabilities");
    if (experts.choice == Experts::Choice::sigmoids) need(OpKind::sigmoid, 1, "the choice");
    if (config.weights_norm) {
      need(OpKind::row_sum, 1, "the experts' weights");
      need(OpKind::quotient, 1, "the experts' weights");
      may(OpKind::clamp, 1);  // their sum away from 0
    }
    scale(config.weights_scale);
    count_gate(experts.act, experts.gated, "experts");
    clamp_gate(sizes().clamp, "experts");
    out_.n_used.push_back(n_used);
    need(OpKind::times, 1, "the experts' weights");
    need(OpKind::sum, n_used - 1, "the experts' results");
    if (config.n_groups > 1) {
      may(OpKind::row_sum, 1);
      may(OpKind::sum, 1);
    }
    // Factors beside the matrices, one for each expert.
    for (const Role role :
         {Role::ffn_gate_exps, Role::ffn_up_exps, Role::ffn_down_exps, Role::ffn_gate_up_exps,
          Role::ffn_gate_chexps, Role::ffn_up_chexps, Role::ffn_down_chexps}) {
      const TensorSpec spec{.role = role, .layer = layer_};
      if (model_.find_tensor(spec.scale_name()) != nullptr) may(OpKind::times, 1);
    }
  }

  void count_experts(const Experts& experts) {
    const ExpertConfig& config = config_.experts;
    if (experts.left_out) return count_gate(experts.act, false, "feed-forward part");
    count_chosen(experts, sizes().n_experts_used);
    if (experts.adjugate) {
      const int n = config.n_experts / config.n_sharing;
      count_chosen(experts, std::min(n, sizes().n_experts_used));
      need(OpKind::sum, 1, "adjugate experts");
      scale(config.adjugate_scale);
      if (n != config.n_experts) out_.factor = 0;  // numbers of experts are divided too
    }
    if (config.n_latent != 0 && has(Role::ffn_routed_norm)) {
      need(OpKind::norm, 1, "of the experts' sum");
    }
    if (config.n_ff_shared == 0) return;
    count_gate(experts.act, experts.gated, "shared expert");
    clamp_gate(sizes().shared_clamp, "shared expert");
    need(OpKind::sum, 1, "experts and the shared one");
    if (!experts.shared_gate) return;
    need(OpKind::sigmoid, 1, "gate of the shared expert");
    need(OpKind::times, 1, "gate of the shared expert");
  }

  void count_block(const SelectiveScan& scan, const Branch&) {
    need(OpKind::convolution, 1, "the scan's input");
    need(OpKind::recurrence, 1, "scan");
    need(OpKind::activation, 2, "convolution, gate of the scan");
    need(OpKind::times, 1, "gate of the scan");
    need(OpKind::sum, 1, "the scan's input, times D");
    if (scan.dt_b_c_norms || config_.recurrent.plain_norms) {
      need(OpKind::norm, 3, "of dt, B and C");
    }
    const bool has_norm =
        scan.group_norm == SelectiveScan::GroupNorm::yes ||
        (scan.group_norm == SelectiveScan::GroupNorm::optional && has(Role::ssm_norm));
    if (has_norm) need(OpKind::norm, 1, "of the scan's groups");
  }

  void count_block(const ShortConv&, const Branch&) {
    need(OpKind::convolution, 1, "short convolution");
    need(OpKind::times, 2, "gates of the convolution");
  }

  // Queries and keys are made of length 1: by a norm and a factor, or by one operation.
  void count_unit_length() {
    need(OpKind::norm, 2, "of queries and keys");
    out_.unit_length = config_.recurrent.n_state;
  }

  void count_block(const GatedDeltaNet& net, const Branch&) {
    need(OpKind::convolution, 1, "queries, keys, values");
    need(OpKind::recurrence, 1, "delta rule");
    count_unit_length();
    need(OpKind::sigmoid, net.sigmoid_gate ? 2 : 1, "beta, gate");
    need(OpKind::softplus, 1, "decay");
    need(OpKind::activation, net.sigmoid_gate ? 1 : 2, "convolution, gate");
    need(OpKind::times, 1, "gate");
    need(OpKind::norm, 1, "of the heads");
  }

  void count_block(const ChannelDeltaNet& net, const Branch&) {
    need(OpKind::convolution, 3, "queries, keys, values");
    need(OpKind::recurrence, 1, "delta rule");
    count_unit_length();
    need(OpKind::sigmoid, 2, "beta, gate");
    need(config_.recurrent.decay_bound != 0 ? OpKind::sigmoid : OpKind::softplus, 1, "decay");
    if (config_.recurrent.decay_bound != 0) scale(config_.recurrent.decay_bound);
    if (net.bound == ChannelDeltaNet::Bound::negated_key) scale(-1);
    need(OpKind::activation, 3, "convolutions");
    need(OpKind::times, 1, "gate");
    need(OpKind::norm, 1, "of the heads");
  }

  // The state decays by powers that come in by EXP, of a number that stands in SCALE.
  void count_block(const LightningAttention&, const Branch&) {
    need(OpKind::activation, 1, "queries, keys, values");
    need(OpKind::exponential, 4, "decay");
    need(OpKind::product, 4, "state and scores");
    need(OpKind::times, 4, "decay");
    need(OpKind::sum, 2, "state and scores");
    need(OpKind::norm, 1, "of the heads");
    need(OpKind::sigmoid, 1, "gate of the heads");
    need(OpKind::times, 1, "gate of the heads");
    out_.factor = 0;
  }

  const ModelFile& model_;
  const Arch& arch_;
  const Config& config_;
  const int layer_;
  LayerStructure out_;
};

LayerStructure outside_structure(const Arch& arch, const Config& config) {
  LayerStructure out;
  const auto need = [&](OpKind kind, int n, const char* word) {
    out.of(kind).least += n;
    out.of(kind).most += n;
    out.of(kind).words.push_back(word);
  };
  need(OpKind::norm, 1, "of the output");
  if (arch.embedding_norm != Arch::EmbeddingNorm::none) need(OpKind::norm, 1, "of the embedding");
  if (config.final_softcap != 0) need(OpKind::tanh, 1, "soft cap of the logits");
  if (config.final_softcap != 0) out.softcaps = {config.final_softcap};
  out.factor = double{config.embedding_scale} * config.logit_scale;
  if (arch.hyper == Arch::Hyper::mixes || arch.hyper == Arch::Hyper::gates) out.is_known = false;
  if (arch.hyper == Arch::Hyper::sums) {
    need(OpKind::norm, 1, "of the streams");
    need(OpKind::sigmoid, 1, "weights of the streams");
    need(OpKind::times, config.hyper.count, "weights of the streams");
    need(OpKind::sum, config.hyper.count - 1, "streams");
  }
  if (config.checkpoint_period != 0) {
    need(OpKind::norm, 2, "of what is scored");
    need(OpKind::row_sum, 2, "scores of residuals");
    need(OpKind::softmax, 1, "scores of residuals");
    need(OpKind::times, 1, "residual, by its score");
    need(OpKind::sum, 1, "residuals, by their scores");
  }
  return out;
}

}  // namespace

std::vector<LayerStructure> expected_structure(const ModelFile& model, const Arch& arch,
                                               const Config& config) {
  std::vector<LayerStructure> out;
  out.reserve(config.layers.size() + 1);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    out.push_back(LayerCounter(model, arch, config, layer).count());
  }
  out.push_back(outside_structure(arch, config));
  // Positions have rows of their own, which are added to the embedding.
  const TensorSpec positions{.role = Role::position_embd};
  const bool has_positions = arch.position_embedding == Arch::PositionEmbedding::always ||
                             (arch.position_embedding == Arch::PositionEmbedding::if_present &&
                              model.find_tensor(positions.name()) != nullptr);
  if (has_positions) {
    OpCount& sums = out.back().of(OpKind::sum);
    sums = {1, 1, {"positions"}};
  }
  return out;
}

}  // namespace crossval
