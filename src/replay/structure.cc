#include "replay/structure.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

namespace crossval {
namespace {

constexpr OpKind kind_at(size_t i) { return static_cast<OpKind>(i); }

// Which of `ours` have no counterpart in `theirs`: what a longest common subsequence leaves out.
std::vector<size_t> unmatched(const std::vector<const StructureNode*>& ours,
                              const std::vector<const StructureNode*>& theirs) {
  const size_t n = ours.size(), m = theirs.size();
  constexpr size_t kMost = 4000;  // no layer has so many; an engine may tell what it likes
  if (n > kMost || m > kMost) return {};
  std::vector<std::vector<int>> length(n + 1, std::vector<int>(m + 1, 0));
  for (size_t i = n; i-- > 0;) {
    for (size_t k = m; k-- > 0;) {
      length[i][k] = ours[i]->token == theirs[k]->token
                         ? length[i + 1][k + 1] + 1
                         : std::max(length[i + 1][k], length[i][k + 1]);
    }
  }
  std::vector<size_t> out;
  for (size_t i = 0, k = 0; i < n;) {
    if (k < m && ours[i]->token == theirs[k]->token) {
      ++i, ++k;
    } else if (k < m && length[i][k + 1] >= length[i + 1][k]) {
      ++k;
    } else {
      out.push_back(i++);
    }
  }
  return out;
}

}  // namespace

bool StructureCheck::Layer::is_sound() const {
  return !is_excused && std::ranges::all_of(excess, [](int n) { return n == 0; });
}

StructureCheck::StructureCheck(const ModelFile& model, const Arch& arch, const Config& config)
    : model_(model),
      cycles_(config.cycles),
      expected_(expected_structure(model, arch, config)),
      graph_(model, !arch.cycles) {}

void StructureCheck::add(const Tap& tap, int graph, size_t index, bool is_wrong) {
  if (graph != at_) end_graph();
  at_ = graph;
  graph_.add(tap, index, is_wrong);
}

std::vector<StructureFault> StructureCheck::finish(std::vector<std::string>& unread) {
  unread_ = unread;
  end_graph();
  unread = unread_;
  return std::move(faults_);
}

void StructureCheck::end_graph() {
  if (graph_.nodes().empty()) return;
  graph_.finish();
  if (faults_.empty()) {
    check_layers_of_weights();
    std::vector<Layer> layers = layers_of_graph();
    count_excess(layers);
    for (size_t at = 0; at < layers.size(); ++at) {
      if (!expected_[at].is_known) is_complete_ = false;
      if (!expected_[at].is_known || layers[at].is_excused) continue;
      if (!check_experts(layers, at)) continue;
      check_reads(layers, at);
      check_counts(layers, at);
      check_masks(layers, at);
      check_limits(layers, at);
      check_factor(layers, at);
      check_softcaps(layers, at);
      check_summands(layers, at);
      check_way(layers, at);
    }
    std::ranges::stable_sort(faults_, {}, &StructureFault::index);
  }
  graph_.clear();
}

std::vector<StructureCheck::Layer> StructureCheck::layers_of_graph() const {
  std::vector<Layer> layers(expected_.size());
  for (size_t i = 0; i < graph_.nodes().size(); ++i) {
    const StructureNode& node = graph_.nodes()[i];
    const size_t at =
        std::min(layers.size() - 1, static_cast<size_t>(node.layer));  // -1 too: outside
    Layer& layer = layers[at];
    layer.nodes.push_back(i);
    for (size_t kind = 0; kind < kOpKinds; ++kind) layer.found[kind] += node.kinds[kind];
    layer.factor *= node.factor;
    layer.has_wrong = layer.has_wrong || node.is_wrong;
  }
  for (const std::string& weight : unread_) {
    const int layer = layer_and_role(weight).first;
    const size_t at = layer < 0 ? layers.size() - 1 : static_cast<size_t>(layer);
    if (at < layers.size()) layers[at].is_excused = true;
  }
  return layers;
}

// What stands before the layers or behind them may be counted as of the first or last one: norms
// without weights have nothing that says where they belong.
void StructureCheck::count_excess(std::vector<Layer>& layers) const {
  for (size_t kind = 0; kind < kOpKinds; ++kind) {
    for (size_t at = 0; at < layers.size(); ++at) {
      const OpCount& count = expected_[at].ops[kind];
      const int found = layers[at].found[kind];
      if (!expected_[at].is_known) continue;
      layers[at].excess[kind] = found - std::clamp(found, count.least, count.most);
    }
    int& outside = layers.back().excess[kind];
    for (const size_t at : {size_t{0}, layers.size() - 2}) {
      int& inside = layers[at].excess[kind];
      if (inside + outside == 0) inside = outside = 0;
    }
  }
}

std::string StructureCheck::layer_words(size_t at) const {
  return at + 1 == expected_.size() ? "the graph outside of its layers"
                                    : fmt::format("layer {}", at);
}

const StructureCheck::Layer* StructureCheck::sibling_of(const std::vector<Layer>& layers,
                                                        size_t at) const {
  const int other = sibling_number(layers, at);
  return other < 0 ? nullptr : &layers[static_cast<size_t>(other)];
}

int StructureCheck::sibling_number(const std::vector<Layer>& layers, size_t at) const {
  if (layer_number(at) < 0) return -1;
  const auto is_alike = [&](size_t other) {
    for (size_t kind = 0; kind < kOpKinds; ++kind) {
      const OpCount &a = expected_[at].ops[kind], &b = expected_[other].ops[kind];
      if (a.least != b.least || a.most != b.most) return false;
    }
    return true;
  };
  for (size_t other = 0; other + 1 < layers.size(); ++other) {
    if (other != at && layers[other].is_sound() && is_alike(other)) return static_cast<int>(other);
  }
  return -1;
}

StructureCheck::Place StructureCheck::place_of_missing(const std::vector<Layer>& layers, size_t at,
                                                       OpKind kind) const {
  const std::vector<StructureNode>& nodes = graph_.nodes();
  const Layer& layer = layers[at];
  const auto of = [&](const Layer& one) {
    std::vector<const StructureNode*> out;
    for (const size_t i : one.nodes) out.push_back(&nodes[i]);
    return out;
  };
  Place place{layer.nodes.empty() ? nodes.size() - 1 : layer.nodes.back(), ""};
  if (kind == OpKind::tanh || kind == OpKind::rope) {  // before the scores are used
    const auto scores = std::ranges::find_if(
        layer.nodes, [&](size_t i) { return nodes[i].is_of(OpKind::softmax); });
    if (scores != layer.nodes.end()) place.node = *scores;
  }
  for (const size_t i : layer.nodes) {
    const bool is_weighted_norm = nodes[i].op == "MUL" &&
                                  nodes[i].token.find("norm.weight") != std::string::npos &&
                                  !nodes[i].makers.empty();
    if (kind != OpKind::norm || !is_weighted_norm) continue;
    if (nodes[nodes[i].makers[0]].is_of(OpKind::norm)) continue;
    return {i, fmt::format("{} multiplies what was not normed", nodes[i].token.substr(4))};
  }
  const Layer* sibling = sibling_of(layers, at);
  if (sibling == nullptr) return place;
  const auto theirs = of(*sibling), ours = of(layer);
  for (const size_t i : unmatched(theirs, ours)) {
    if (!theirs[i]->is_of(kind)) continue;
    place.words = fmt::format("layer {} has it in {}", theirs[i]->layer, shown(*theirs[i]));
    // The operation here behind which it should stand.
    if (i > 0 && i <= layer.nodes.size()) place.node = layer.nodes[i - 1];
    break;
  }
  return place;
}

StructureCheck::Place StructureCheck::place_of_extra(const std::vector<Layer>& layers, size_t at,
                                                     OpKind kind) const {
  const std::vector<StructureNode>& nodes = graph_.nodes();
  const Layer& layer = layers[at];
  std::optional<size_t> found;
  const Layer* sibling = sibling_of(layers, at);
  if (sibling != nullptr) {
    std::vector<const StructureNode*> ours, theirs;
    for (const size_t i : layer.nodes) ours.push_back(&nodes[i]);
    for (const size_t i : sibling->nodes) theirs.push_back(&nodes[i]);
    for (const size_t i : unmatched(ours, theirs)) {
      if (ours[i]->is_of(kind)) found = layer.nodes[i];
    }
  }
  // Otherwise one that reads another of its kind, or the last.
  const auto reads_its_kind = [&](size_t i) {
    return nodes[i].is_of(kind) && std::ranges::any_of(nodes[i].makers, [&](size_t maker) {
             return nodes[maker].is_of(kind);
           });
  };
  const auto repeats = std::ranges::find_if(layer.nodes, reads_its_kind);
  if (!found && repeats != layer.nodes.end()) found = *repeats;
  for (size_t k = layer.nodes.size(); k-- > 0 && !found;) {
    if (nodes[layer.nodes[k]].is_of(kind)) found = layer.nodes[k];
  }
  if (!found) return {layer.nodes.empty() ? 0 : layer.nodes.back(), ""};
  const StructureNode& node = nodes[*found];
  return {*found,
          shown(node) +
              (node.makers.empty() ? "" : ", which reads " + shown(nodes[node.makers.front()]))};
}

void StructureCheck::check_counts(const std::vector<Layer>& layers, size_t at) {
  const Layer& layer = layers[at];
  std::vector<std::string> sentences;
  StructureFault fault{.layer = layer_number(at)};
  for (size_t i = 0; i < kOpKinds; ++i) {
    const int excess = layer.excess[i];
    if (excess == 0) continue;
    const bool lacks = excess < 0;
    const OpCount& count = expected_[at].ops[i];
    const Place place =
        lacks ? place_of_missing(layers, at, kind_at(i)) : place_of_extra(layers, at, kind_at(i));
    std::string sentence =
        fmt::format("{} {} {}: it has {} where the architecture calls for {}", layer_words(at),
                    lacks ? "lacks a" : "has one too many of the kind", kind_name(kind_at(i)),
                    layer.found[i], lacks ? count.least : count.most);
    if (!count.words.empty()) sentence += fmt::format(" ({})", fmt::join(count.words, ", "));
    if (!place.words.empty()) sentence += "; " + place.words;
    const bool leads = sentences.empty() || (lacks && fault.cause == Cause::operation_extra);
    if (leads) {
      fault.index = graph_.nodes()[place.node].index;
      fault.cause = lacks ? Cause::operation_missing : Cause::operation_extra;
      fault.what = kind_name(kind_at(i));
    }
    sentences.insert(leads ? sentences.begin() : sentences.end(), std::move(sentence));
  }
  if (sentences.empty()) return;
  fault.sentence = fmt::format("{}", fmt::join(sentences, "; "));
  faults_.push_back(std::move(fault));
}

// Each weight of a layer has its like in the others, and they are read in the order of the layers.
void StructureCheck::check_layers_of_weights() {
  if (cycles_.n_layers != 0) return check_blocks_of_cycles();
  const auto n_layers = static_cast<int>(expected_.size()) - 1;
  std::map<std::string, std::vector<int>> layers_of_role;  // in the file, ascending
  for (const TensorView& tensor : model_.tensors()) {
    const auto [layer, role] = layer_and_role(tensor.name);
    if (layer >= 0 && layer < n_layers) layers_of_role[role].push_back(layer);
  }
  std::map<std::string, std::vector<std::pair<size_t, int>>> reads;  // node and layer, in order
  for (const auto& [weight, readers] : graph_.readers()) {
    const auto [layer, role] = layer_and_role(weight);
    if (layer < 0) continue;
    for (const size_t node : readers) reads[role].emplace_back(node, layer);
  }
  for (auto& [role, places] : reads) {
    std::ranges::sort(places);
    std::vector<int>& layers = layers_of_role[role];
    std::ranges::sort(layers);
    if (layers.empty() || places.size() % layers.size() != 0) continue;
    const size_t times = places.size() / layers.size();
    for (size_t i = 0; i < places.size(); ++i) {
      const auto [node, layer] = places[i];
      const int right = layers[i / times];
      const std::string owed = fmt::format("blk.{}.{}", right, role);
      const bool is_needed = std::ranges::find(unread_, owed) != unread_.end();
      if (layer == right || (!is_needed && !graph_.readers().contains(owed))) continue;
      faults_.push_back(
          {.cause = Cause::other_layer,
           .index = graph_.nodes()[node].index,
           .layer = right,
           .weight = fmt::format("blk.{}.{}", layer, role),
           .what = role,
           .sentence = fmt::format("{} of layer {} is used in layer {}", role, layer, right)});
      std::erase(unread_, owed);
    }
  }
}

// Where layers are passes through the same blocks, each says which. Scales have the layer's own
// number (TensorSpec::scale_name).
void StructureCheck::check_blocks_of_cycles() {
  const auto n_layers = static_cast<int>(expected_.size()) - 1;
  for (const auto& [weight, readers] : graph_.readers()) {
    const auto [block, role] = layer_and_role(weight);
    for (const size_t i : readers) {
      const int layer = graph_.nodes()[i].layer;
      if (block < 0 || layer < 0 || layer >= n_layers) continue;
      const int right = role.ends_with(".scale") ? layer : cycles_.block_of(layer);
      if (right == block) continue;
      faults_.push_back({.cause = Cause::other_layer,
                         .index = graph_.nodes()[i].index,
                         .layer = layer,
                         .weight = weight,
                         .what = role,
                         .sentence = fmt::format("{} of block {} is used in layer {}, where that "
                                                 "of block {} belongs",
                                                 role, block, layer, right)});
    }
  }
}

// A weight that is read less often than its like in a layer of the same kind.
void StructureCheck::check_reads(const std::vector<Layer>& layers, size_t at) {
  const int other = sibling_number(layers, at);
  if (other < 0 || cycles_.n_layers != 0) return;
  for (const auto& [weight, readers] : graph_.readers()) {
    const auto [layer, role] = layer_and_role(weight);
    if (layer != other) continue;
    const auto ours = graph_.readers().find(fmt::format("blk.{}.{}", at, role));
    if (ours == graph_.readers().end() || ours->second.size() >= readers.size()) continue;
    faults_.push_back(
        {.cause = Cause::operation_missing,
         .index = graph_.nodes()[ours->second.back()].index,
         .layer = layer_number(at),
         .weight = ours->first,
         .what = role,
         .sentence = fmt::format("{} reads {} {} times, layer {} {} times", layer_words(at), role,
                                 ours->second.size(), other, readers.size())});
  }
}

}  // namespace crossval
