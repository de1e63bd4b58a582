// The numbers that stand in operations of the structure: factors, soft caps, limits, how many
// experts a token has, and whether attention has a mask. Names of operations do not say where they
// belong, so it is all of a layer that is held against the model file.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "replay/structure.h"

namespace crossval {
namespace {

constexpr double kRounding = 1e-4;  // of products of a few f32
bool is_one(double ratio) { return std::fabs(ratio - 1) <= kRounding; }

}  // namespace

// False where it is another number: then other operations are missing or too many for that.
bool StructureCheck::check_experts(const std::vector<Layer>& layers, size_t at) {
  const std::vector<int>& expected = expected_[at].n_used;
  if (expected.empty()) return true;
  for (const size_t i : layers[at].nodes) {
    const StructureNode& node = graph_.nodes()[i];
    if (node.n_experts == 0 || std::ranges::find(expected, node.n_experts) != expected.end()) {
      continue;
    }
    faults_.push_back(
        {.cause = Cause::experts_used,
         .index = node.index,
         .layer = layer_number(at),
         .what = "experts",
         .sentence = fmt::format("{} computes {} experts for a token, by the model file it is {}",
                                 layer_words(at), node.n_experts, expected.front())});
    return false;
  }
  return true;
}

void StructureCheck::check_masks(const std::vector<Layer>& layers, size_t at) {
  const Layer& layer = layers[at];
  const auto masked =
      std::ranges::count_if(layer.nodes, [&](size_t i) { return graph_.nodes()[i].has_mask; });
  if (!layer.is_sound() || masked >= expected_[at].n_masks) return;
  const auto softmax = std::ranges::find_if(layer.nodes, [&](size_t i) {
    return graph_.nodes()[i].is_of(OpKind::softmax) && !graph_.nodes()[i].has_mask;
  });
  if (softmax == layer.nodes.end()) return;
  const StructureNode& node = graph_.nodes()[*softmax];
  faults_.push_back(
      {.cause = Cause::sliding_window,
       .index = node.index,
       .layer = layer_number(at),
       .what = "mask",
       .sentence = fmt::format("{} has no mask in its attention, {}: every position sees all",
                               layer_words(at), shown(node))});
}

void StructureCheck::check_limits(const std::vector<Layer>& layers, size_t at) {
  const std::vector<float>& expected = expected_[at].limits;
  for (const size_t i : layers[at].nodes) {
    const StructureNode& node = graph_.nodes()[i];
    const auto is_it = [&](float limit) { return is_one(node.limit / double{limit}); };
    if (node.limit == 0 || node.is_wrong || expected.empty() ||
        std::ranges::any_of(expected, is_it)) {
      continue;
    }
    faults_.push_back({.cause = Cause::limit,
                       .index = node.index,
                       .layer = layer_number(at),
                       .what = "limit",
                       .sentence = fmt::format(
                           "{} limits values to {:.6g} in {}, by the model file it is {:.6g}",
                           layer_words(at), node.limit, shown(node), fmt::join(expected, " or "))});
  }
}

void StructureCheck::check_factor(const std::vector<Layer>& layers, size_t at) {
  const Layer& layer = layers[at];
  double expected = expected_[at].factor;
  const bool by_rms = std::ranges::none_of(
      layer.nodes, [&](size_t i) { return graph_.nodes()[i].op == "L2_NORM"; });
  if (expected_[at].unit_length != 0 && by_rms) expected /= expected_[at].unit_length;
  // Where a parameter is known to be wrong, the product is too.
  if (expected == 0 || layer.has_wrong || !layer.is_sound() || layer.nodes.empty()) return;
  const double ratio = layer.factor / expected;
  if (is_one(ratio)) return;
  // Without it all would be right.
  const auto is_it = [&](size_t i) {
    return graph_.nodes()[i].factor != 1 && is_one(graph_.nodes()[i].factor / ratio);
  };
  const auto scales = [&](size_t i) { return graph_.nodes()[i].op == "SCALE"; };
  const auto extra = std::ranges::find_if(layer.nodes, is_it);
  const auto any = std::ranges::find_if(layer.nodes, scales);
  const bool is_extra = extra != layer.nodes.end();
  const StructureNode& node = graph_.nodes()[is_extra                   ? *extra
                                             : any != layer.nodes.end() ? *any
                                                                        : layer.nodes.back()];
  std::string missing = fmt::format("a factor of {:.6g} is missing or is another", 1 / ratio);
  const Layer* sibling = sibling_of(layers, at);
  for (const size_t i : sibling == nullptr ? std::vector<size_t>() : sibling->nodes) {
    const StructureNode& theirs = graph_.nodes()[i];
    if (theirs.op != "SCALE" || !is_one(theirs.factor * ratio)) continue;
    missing = fmt::format("a factor of {:.6g} is missing, which layer {} has in {}", 1 / ratio,
                          theirs.layer, shown(theirs));
  }
  faults_.push_back(
      {.cause = is_extra ? Cause::operation_extra : Cause::factor,
       .index = node.index,
       .layer = layer_number(at),
       .what = "factor",
       .sentence = fmt::format(
           "{} multiplies values by {:.6g} in all, by the model file it is {:.6g}: {}",
           layer_words(at), layer.factor, expected,
           is_extra ? fmt::format("{} by {:.6g} is an operation too many", shown(node), node.factor)
                    : missing)});
}

// What comes out of TANH is multiplied by the cap.
void StructureCheck::check_softcaps(const std::vector<Layer>& layers, size_t at) {
  const std::vector<float>& caps = expected_[at].softcaps;
  if (caps.empty()) return;
  for (const size_t i : layers[at].nodes) {
    const StructureNode& node = graph_.nodes()[i];
    const auto is_it = [&](float cap) { return is_one(node.factor / double{cap}); };
    if (node.op != "SCALE" || node.makers.empty() || node.is_wrong ||
        graph_.nodes()[node.makers.front()].op != "TANH" || std::ranges::any_of(caps, is_it)) {
      continue;
    }
    faults_.push_back(
        {.cause = Cause::softcap,
         .index = node.index,
         .layer = layer_number(at),
         .what = "softcap",
         .sentence = fmt::format("{} caps by {:.6g}, by the model file it is {:.6g}",
                                 layer_words(at), node.factor, fmt::join(caps, " or "))});
  }
}

void StructureCheck::check_summands(const std::vector<Layer>& layers, size_t at) {
  const double expected = expected_[at].summand;
  if (expected == 0) return;
  for (const size_t i : layers[at].nodes) {
    const StructureNode& node = graph_.nodes()[i];
    if (node.summand == 0 || is_one(node.summand / expected)) continue;
    faults_.push_back(
        {.cause = Cause::factor,
         .index = node.index,
         .layer = layer_number(at),
         .what = "summand",
         .sentence = fmt::format("{} adds {:.6g} in {}, by the model file it is {:.6g}",
                                 layer_words(at), node.summand, shown(node), expected)});
  }
}

std::optional<StructureCheck::NormRead> StructureCheck::norm_before(const Layer& layer,
                                                                    std::string_view weight) const {
  const std::vector<StructureNode>& nodes = graph_.nodes();
  for (const size_t reader : layer.nodes) {
    if (!nodes[reader].token.ends_with(weight)) continue;
    size_t i = reader;
    if (!nodes[i].is_of(OpKind::norm) && !nodes[i].makers.empty()) i = nodes[i].makers.front();
    if (!nodes[i].is_of(OpKind::norm) || nodes[i].makers.empty()) continue;
    i = nodes[i].makers.front();
    while (nodes[i].op == "GET_ROWS" || nodes[i].op == "CONT" || nodes[i].op == "CPY") {
      if (nodes[i].makers.empty()) break;
      i = nodes[i].makers.front();
    }
    return NormRead{reader, i};
  }
  return std::nullopt;
}

// Attention and feed-forward part stand one behind the other or side by side.
void StructureCheck::check_way(const std::vector<Layer>& layers, size_t at) {
  const std::optional<bool> expected = expected_[at].is_parallel;
  const auto first = norm_before(layers[at], " attn_norm.weight");
  const auto second = norm_before(layers[at], " ffn_norm.weight");
  if (!expected || !first || !second || (first->input == second->input) == *expected) return;
  faults_.push_back(
      {.cause = Cause::graph,
       .index = graph_.nodes()[second->reader].index,
       .layer = layer_number(at),
       .what = "way",
       .sentence =
           fmt::format("{}: the feed-forward part reads {}, by the model file {}", layer_words(at),
                       *expected ? "what attention made of the layer's input"
                                 : "the layer's input as attention does",
                       *expected ? "the input itself" : "what attention made of it")});
}

}  // namespace crossval
