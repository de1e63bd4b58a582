#include "replay/structure_graph.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "replay/expect_parameter.h"

namespace crossval {
namespace {

// "blk.0.attn_k.weight (reshaped)" is a part of that weight.
std::string plain_name(const std::string& name) { return name.substr(0, name.find(" (")); }

// Whether the name says the layer: "norm-3".
bool says_layer(const Tap& tap) {
  const size_t dash = tap.name.rfind('-');
  return tap.layer >= 0 && dash != std::string::npos && dash + 1 < tap.name.size() &&
         std::all_of(tap.name.begin() + static_cast<std::ptrdiff_t>(dash) + 1, tap.name.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

bool only_moves(std::string_view op) {
  return op == "REPEAT" || op == "CONT" || op == "CPY" || op == "DUP" || op == "GET_ROWS";
}

// What SCALE and softmax multiply by.
double factor_of(const Tap& tap) {
  const bool multiplies = tap.op == "SCALE" || tap.op == "SOFT_MAX" || tap.op == "FLASH_ATTN_EXT";
  const double factor = multiplies ? double{as_float(tap.params[0])} : 1;
  return factor == 0 ? 1 : factor;  // 0 clears a state before the first token
}

bool has_mask(const Tap& tap) {
  const size_t i = tap.op == "SOFT_MAX" ? 1 : tap.op == "FLASH_ATTN_EXT" ? 3 : tap.sources.size();
  return i < tap.sources.size() && tap.sources[i].ne[0] > 0;
}

// Of clamps and gates with one: ggml.c, ggml_clamp, ggml_swiglu_clamp and ggml_swiglu_oai.
double limit_of(const Tap& tap) {
  if (tap.op == "SWIGLU_CLAMP" || tap.op == "SWIGLU_OAI") return as_float(tap.params[3]);
  const double most = tap.op == "CLAMP" ? as_float(tap.params[1]) : 0;
  return std::isfinite(most) ? most : 0;
}

}  // namespace

std::string shown(const StructureNode& node) {
  return node.name.empty() ? node.op : node.op + " at " + node.name;
}

std::pair<int, std::string> layer_and_role(const std::string& weight) {
  constexpr std::string_view prefix = "blk.";
  if (!weight.starts_with(prefix)) return {-1, weight};
  int layer = -1;
  const char* begin = weight.data() + prefix.size();
  const char* end = weight.data() + weight.size();
  const auto [after, error] = std::from_chars(begin, end, layer);
  if (error != std::errc() || after == end || *after != '.') return {-1, weight};
  return {layer, std::string(after + 1, end)};
}

bool StructureGraph::is_weight(const std::string& name) const {
  return model_.find_tensor(name) != nullptr;
}

int StructureGraph::read_sources(const Tap& tap, StructureNode& node) {
  int n_weights = 0;
  bool all_weights = !tap.sources.empty();
  for (size_t i = 0; i < tap.sources.size(); ++i) {
    const TapTensor& source = tap.sources[i];
    if (source.ne[0] == 0) continue;
    const std::string name = plain_name(source.name);
    if (!source.origin && is_weight(name)) {
      ++n_weights;
      readers_[name].push_back(nodes_.size());
      node.token += " " + layer_and_role(name).second;
      continue;
    }
    std::optional<size_t> maker;
    if (source.origin) {
      const auto found = by_name_.find({source.origin->name, source.origin->occurrence});
      if (found != by_name_.end()) maker = found->second;
    } else if (const auto found = latest_.find(name); found != latest_.end()) {
      maker = found->second;
    }
    if (maker) node.makers.push_back(*maker);
    if (maker && nodes_[*maker].moves_weight) {
      ++n_weights;
    } else if (i == 0 || tap.op != "GET_ROWS") {
      all_weights = false;
    }
  }
  // The embedding's rows are not a weight any more.
  const bool looks_up = tap.op == "GET_ROWS" && node.makers.empty();
  node.moves_weight = only_moves(tap.op) && n_weights > 0 && all_weights && !looks_up;
  return n_weights;
}

int StructureGraph::layer_of(const Tap& tap, const StructureNode& node, int of_weights) const {
  if (says_layer(tap)) return tap.layer;
  int layer = of_weights;
  for (const size_t maker : node.makers) layer = std::max(layer, nodes_[maker].layer);
  return layer;
}

void StructureGraph::add(const Tap& tap, size_t index, bool is_wrong) {
  StructureNode node{.name = tap.name, .op = tap.op, .token = tap.op, .index = index};
  node.is_wrong = is_wrong;
  const int n_weights = read_sources(tap, node);
  int of_weights = -1;
  bool is_output = false;
  for (const TapTensor& source : tap.sources) {
    const auto [layer, role] = layer_and_role(plain_name(source.name));
    if (weights_say_layer_) of_weights = std::max(of_weights, layer);
    is_output = is_output || (layer < 0 && role.starts_with("output") && is_weight(role));
  }
  node.layer = is_output ? kBehindLayers : layer_of(tap, node, of_weights);
  node.kinds = kinds_of(tap, n_weights);
  if (!node.makers.empty()) node.factor = factor_of(tap);  // inputs, such as slopes, are data
  node.limit = limit_of(tap);
  node.has_mask = has_mask(tap);
  if (tap.op == "SCALE") node.summand = as_float(tap.params[1]);
  if (tap.op == "MUL_MAT_ID") node.n_experts = static_cast<int>(tap.out.ne[1]);
  by_name_[{tap.name, tap.occurrence}] = nodes_.size();
  latest_[tap.name] = nodes_.size();
  nodes_.push_back(std::move(node));
}

void StructureGraph::finish() {
  for (StructureNode& node : nodes_) {
    if (node.op == "MUL" && node.makers.size() == 1 &&
        (node.token.find("norm") != std::string::npos ||
         node.token.find("score") != std::string::npos)) {
      StructureNode& norm = nodes_[node.makers[0]];
      if (norm.is_of(OpKind::norm) && norm.name.find('-') == std::string::npos) {
        norm.layer = node.layer;
      }
    }
    if (node.op == "DIV" && node.makers.size() == 2 && nodes_[node.makers[0]].op == "SILU" &&
        nodes_[node.makers[0]].makers == std::vector<size_t>{node.makers[1]}) {
      nodes_[node.makers[0]].kinds = {};
      node.kinds = {};
      node.kinds[static_cast<size_t>(OpKind::sigmoid)] = 1;
    }
  }
}

void StructureGraph::clear() {
  nodes_.clear();
  by_name_.clear();
  latest_.clear();
  readers_.clear();
}

}  // namespace crossval
