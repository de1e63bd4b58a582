// A layer as its architecture's branches say: norm, block, norm, sum.
#include <algorithm>

#include "native/forward.h"

namespace crossval {
namespace {

// What a block reads: the norm of what the branch starts from, or that as it is.
const Rows& block_input(ForwardPass& pass, const Branch& branch, const Rows& from) {
  if (branch.norm == Role::none) return from;
  const WeightsByRole& weights = pass.layer_weights();
  if (branch.norm_optional && !weights[branch.norm]) {
    if (branch.norm_instead == Role::none) return pass.normed;  // as the branch before
    pass.norm(from, weights[branch.norm_instead], pass.normed);
    return pass.normed;
  }
  // Two branches behind one norm share what it made.
  if (branch.parallel && branch.norm_tap == nullptr) return pass.normed;
  pass.norm(from, weights[branch.norm], pass.normed);
  const bool is_layer = pass.arch.norm == NormKind::layer;
  const char* op = !pass.arch.norm_weights             ? (is_layer ? "NORM" : "RMS_NORM")
                   : weights[branch.norm].bias.empty() ? "MUL"
                                                       : "ADD";
  pass.tap(branch.norm_tap, op, pass.normed);
  return pass.normed;
}

// The embedding, times a factor of the layer.
void add_embedding(ForwardPass& pass) {
  pass.add(pass.embedding, pass.layer_weights()[Role::layer_output_scale].vector[0], pass.x);
}

// A pass begins with the sum of both states.
void begin_pass(ForwardPass& pass) {
  if (pass.layer % pass.config.cycles.n_layers != 0) return;
  if (pass.layer == 0) {
    const VectorWeight& first = pass.weights.outside[Role::hrm_z_l_init].vector;
    pass.resize(pass.low, pass.x.width);
    pass.each_token([&](int64_t token) { std::ranges::copy(first, pass.low.row(token)); });
    pass.high = pass.x;
  }
  pass.x = pass.high;
  pass.add(pass.low, 1, pass.x);
}

// What it ends with, normed, is its stack's state. The norm of the last is that of the output.
void end_pass(ForwardPass& pass) {
  const CycleConfig& cycles = pass.config.cycles;
  const int next = pass.layer + 1;
  if (next % cycles.n_layers != 0 || next == pass.config.n_layers) return;
  pass.norm(pass.x, Weight(), pass.x);
  std::swap(cycles.is_high(pass.layer) ? pass.high : pass.low, pass.x);
}

void run_block(ForwardPass& pass, const Branch& branch, const Rows& in) {
  if (const auto* attention = std::get_if<Attention>(&branch.block)) {
    return attention_block(pass, *attention, in);
  }
  if (const auto* attention = std::get_if<LatentAttention>(&branch.block)) {
    return latent_attention_block(pass, *attention, in);
  }
  if (std::holds_alternative<CompressedAttention>(branch.block)) {
    return compressed_attention_block(pass, in);
  }
  if (const auto* scan = std::get_if<SelectiveScan>(&branch.block)) {
    return scan_block(pass, *scan, in);
  }
  if (const auto* conv = std::get_if<ShortConv>(&branch.block)) {
    return short_conv_block(pass, *conv, in);
  }
  if (const auto* net = std::get_if<GatedDeltaNet>(&branch.block)) {
    return delta_net_block(pass, *net, in);
  }
  if (const auto* net = std::get_if<ChannelDeltaNet>(&branch.block)) {
    return channel_net_block(pass, *net, in);
  }
  if (std::holds_alternative<LightningAttention>(branch.block)) return lightning_block(pass, in);
  const auto& ffn = std::get<FeedForward>(branch.block);
  if (pass.layer_config().has_experts && !branch.is_dense) return experts_block(pass, ffn, in);
  dense_block(pass, ffn.dense, in);
}

}  // namespace

void ForwardPass::run_layers() {
  if (arch.embedding_skip) embedding = x;
  if (arch.hyper != Arch::Hyper::none) begin_streams(*this);
  checkpoints.clear();
  for (layer = 0; layer < config.n_layers; ++layer) {
    if (arch.cycles) begin_pass(*this);
    if (config.ngrams.layer == layer) add_ngrams(*this);
    const std::vector<Branch>& branches = arch.layer_of(layer_config().kind);
    const auto is_parallel = [&](const Branch& branch) {
      return branch.parallel || config.parallel;
    };
    const bool keeps_input = std::ranges::any_of(branches, [&](const Branch& branch) {
      const auto* ffn = std::get_if<FeedForward>(&branch.block);
      return is_parallel(branch) || (ffn != nullptr && ffn->experts.router_reads_layer_input);
    });
    if (keeps_input) {
      resize(layer_input, x.width);
      std::copy_n(x.data.begin(), static_cast<size_t>(n_tokens) * x.width,
                  layer_input.data.begin());
    }
    for (const Branch& part : branches) {
      if (arch.hyper != Arch::Hyper::none) read_streams(*this, part);
      const bool mixes = config.checkpoint_period != 0;
      if (mixes) {
        mix_checkpoints(*this, layer_weights()[part.checkpoint_score]);
        if (&part == branches.data() && layer % config.checkpoint_period == 0)
          keep_checkpoint(*this);
      }
      const Rows& from = mixes ? mixed : is_parallel(part) ? layer_input : x;
      run_block(*this, part, block_input(*this, part, from));
      if (part.post_norm != Role::none) {
        const float eps = arch.post_norm_eps.value_or(config.norm_eps);
        const WeightsByRole& weights_here = layer_weights();
        const bool other = part.post_norm_instead != Role::none && !weights_here[part.post_norm];
        norm(branch, weights_here[other ? part.post_norm_instead : part.post_norm], arch.norm,
             branch.width, eps, branch);
        tap(part.post_tap, "MUL", branch);
      }
      if (sums_otherwise) disturb(branch);
      if (arch.hyper != Arch::Hyper::none) {
        add_to_streams(*this, part.sum_tap);
        continue;
      }
      if (part.onto_norm) {
        for (size_t i = 0; i < static_cast<size_t>(n_tokens) * x.width; ++i)
          x.data[i] = normed.data[i] * config.residual_scale;
      }
      add(branch, part.onto_norm ? 1 : config.residual_scale, x);
      if (arch.embedding_skip && &part == &branches.back()) add_embedding(*this);
      tap(part.sum_tap, "ADD", x);
    }
    if (arch.cycles) end_pass(*this);
  }
  layer = -1;
  if (arch.hyper != Arch::Hyper::none) end_streams(*this);
  if (config.checkpoint_period == 0) return;
  mix_checkpoints(*this, weights.outside[Role::output_res_score]);
  std::swap(x, mixed);
}

}  // namespace crossval
