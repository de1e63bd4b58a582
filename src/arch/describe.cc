#include "arch/describe.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <utility>

namespace crossval {
namespace {

const char* act_name(Act act) {
  switch (act) {
    case Act::silu:
      return "silu";
    case Act::gelu:
      return "gelu";
    case Act::relu:
      return "relu";
    case Act::relu_squared:
      return "relu^2";
    case Act::swiglu_oai:
      return "clamped swiglu";
    case Act::situ:
      return "situ";
  }
  return "";
}

std::string attention_in_words(const Attention& attention, const Arch& arch, const Config& config,
                               const LayerConfig& layer) {
  std::vector<std::string> parts = {
      fmt::format("attention {}:{}", layer.n_heads, layer.n_kv_heads)};
  if (attention.qk_norm != QkNorm::none && !attention.qk_norm_optional)
    parts.emplace_back("q/k norm");
  if (layer.has_rope && arch.rope != RopeStyle::none) {
    const int n_dims = config.rope.n_dims;
    parts.push_back(n_dims == layer.head_dim ? "rope" : fmt::format("rope over {}", n_dims));
  } else if (config.alibi_bias > 0) {
    parts.emplace_back("ALiBi");
  } else {
    parts.emplace_back("no rope");
  }
  if (layer.has_window) parts.push_back(fmt::format("window {}", config.window_len));
  if (config.attn_softcap != 0) parts.push_back(fmt::format("soft cap {}", config.attn_softcap));
  if (attention.sinks) parts.emplace_back("sinks");
  if (attention.gate != Attention::Gate::none) parts.emplace_back("gated");
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string ffn_in_words(const FeedForward& ffn, const Config& config, const LayerConfig& layer,
                         bool is_dense) {
  if (!layer.has_experts || is_dense) {
    return fmt::format("{}feed-forward {}, {} wide", ffn.dense.gated ? "gated " : "",
                       act_name(ffn.dense.act), layer.n_ff);
  }
  const ExpertConfig& experts = config.experts;
  const std::string shared =
      experts.n_ff_shared > 0 ? fmt::format(", shared {} wide", experts.n_ff_shared) : "";
  return fmt::format("experts {} of {}, {}, {} wide{}", layer.n_experts_used, experts.n_experts,
                     act_name(ffn.experts.act), layer.n_ff_expert, shared);
}

std::string layer_in_words(const Arch& arch, const Config& config, const LayerConfig& layer) {
  std::vector<std::string> blocks;
  for (const Branch& branch : arch.layer_of(layer.kind)) {
    if (const auto* attention = std::get_if<Attention>(&branch.block)) {
      blocks.push_back(attention_in_words(*attention, arch, config, layer));
    } else if (std::holds_alternative<LatentAttention>(branch.block)) {
      blocks.push_back(
          fmt::format("latent attention of {} heads, rank {}", layer.n_heads, layer.latent.rank));
    } else if (std::holds_alternative<CompressedAttention>(branch.block)) {
      blocks.push_back(fmt::format(
          "compressed attention of {} heads, window {}{}", layer.n_heads, config.window_len,
          layer.ratio == 0 ? "" : fmt::format(", a row for every {} positions", layer.ratio)));
    } else if (const auto* ffn = std::get_if<FeedForward>(&branch.block)) {
      blocks.push_back(ffn_in_words(*ffn, config, layer, branch.is_dense));
    } else if (std::holds_alternative<SelectiveScan>(branch.block)) {
      blocks.emplace_back("selective scan");
    } else if (std::holds_alternative<ShortConv>(branch.block)) {
      blocks.emplace_back("short convolution");
    } else if (std::holds_alternative<LightningAttention>(branch.block)) {
      blocks.emplace_back("lightning attention");
    } else {
      blocks.emplace_back("gated delta net");
    }
    if (branch.parallel || config.parallel) blocks.back() += " (parallel)";
  }
  return fmt::format("{}", fmt::join(blocks, "; "));
}

// "0-4, 6, 8-9"
std::string ranges_in_words(const std::vector<int>& layers) {
  std::vector<std::string> parts;
  for (size_t first = 0; first < layers.size();) {
    size_t last = first;
    while (last + 1 < layers.size() && layers[last + 1] == layers[last] + 1) ++last;
    parts.push_back(first == last ? std::to_string(layers[first])
                                  : fmt::format("{}-{}", layers[first], layers[last]));
    first = last + 1;
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::vector<std::string> describe_layers(const Arch& arch, const Config& config) {
  std::vector<std::pair<std::string, std::vector<int>>> kinds;  // in the order of their first layer
  for (int i = 0; i < config.n_layers; ++i) {
    const std::string words = layer_in_words(arch, config, config.layers[static_cast<size_t>(i)]);
    size_t kind = 0;
    while (kind < kinds.size() && kinds[kind].first != words) ++kind;
    if (kind == kinds.size()) kinds.emplace_back(words, std::vector<int>{});
    kinds[kind].second.push_back(i);
  }
  std::vector<std::string> lines;
  lines.reserve(kinds.size());
  for (const auto& [words, layers] : kinds) {
    lines.push_back(ranges_in_words(layers) + ": " + words);
  }
  return lines;
}

}  // namespace crossval
