#include "compare/graph_parting.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <utility>

#include "compare/graph_edges.h"
#include "compare/op_parameters.h"

namespace crossval {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

using Graph = std::vector<GraphNode>;

std::string shown(const GraphNode& node) {
  const std::string name = node.name.empty() ? "(unnamed)" : node.name;
  return fmt::format("{} ({})", name, node.op);
}

// What rounding alone may make of an operation whose inputs are the same in both engines: f32 sums
// in another order; halves in caches and operands; activations rounded to 8 bits in blocks of
// another length (each some 4e-3 off).
double rounding_of(const GraphNode& node) {
  double most = 1e-5;
  for (const GraphSource& source : node.sources) {
    if (!source.is_there || source.type == GgmlType::F32 || source.type == GgmlType::I32 ||
        source.type == GgmlType::I64) {
      continue;
    }
    const bool is_half = source.type == GgmlType::F16 || source.type == GgmlType::BF16;
    most = std::max(most, is_half ? 5e-3 : 1.5e-2);
  }
  return node.op == "GET_ROWS" ? 1e-5 : most;
}

// Deviations of the inputs may grow in one operation: those of f32 sums a lot where they cancel,
// those of 8-bit activations, which are in all terms alike, by little.
double grown(double level) { return std::max(std::min(30 * level, 1e-4), 4 * level); }

// Whether two nodes hold the same values, up to this distance. One without samples is like itself
// alone.
bool hold_alike(const GraphNode& a, const GraphNode& b, double most) {
  return &a == &b || (a.width == b.width && !a.samples.empty() && !b.samples.empty() &&
                      sampled_distance(a, b) <= most);
}

// The node of the other graph with the same values.
struct Match {
  std::optional<size_t> nearest;  // none has its width
  double distance = kInf;
  bool is_equal = false;  // up to rounding
};

class Comparison {
 public:
  Comparison(const Graph& engine, const Graph& backend)
      : engine_(engine), backend_(backend), engine_edges_(engine), backend_edges_(backend) {
    std::map<int64_t, std::vector<size_t>> by_width;
    for (size_t i = 0; i < engine.size(); ++i) {
      if (!engine[i].samples.empty()) by_width[engine[i].width].push_back(i);
    }
    matches_.resize(backend.size());
    levels_.assign(backend.size(), 0);
    is_clean_.assign(backend.size(), true);
    for (size_t i = 0; i < backend.size(); ++i) {
      if (!backend[i].samples.empty()) {
        matches_[i] = match(i, by_width[backend[i].width]);
        if (!matches_[i].is_equal) explain(i);
      }
      levels_[i] = matches_[i].is_equal ? matches_[i].distance : largest_before(i);
      // Of caches and the like no values are known: they are what was written to them.
      is_clean_[i] = backend[i].samples.empty() ? has_equal_sources(i) : matches_[i].is_equal;
    }
    find_deviating();
  }

  std::optional<GraphParting> parting() const {
    if (backend_.empty() || engine_.empty()) return std::nullopt;
    for (size_t i = 0; i < backend_.size(); ++i) {
      if (deviates_[i] && has_equal_sources(i)) return describe(i);
    }
    return std::nullopt;
  }

  // The first operation that is another one, whatever its values.
  std::optional<GraphParting> hidden_parting() const {
    for (size_t i = 0; i < backend_.size(); ++i) {
      // Where caches lie and how they are written to is each engine's own affair.
      const std::string& op = backend_[i].op;
      if (op == "SET_ROWS" || op == "CPY" || op == "GET_ROWS" || op == "CONT") continue;
      const std::optional<size_t> other = counterpart(i);
      if (other && !differences(*other, i).empty()) return describe(i);
    }
    return std::nullopt;
  }

  bool is_alike() const {
    for (size_t i = 0; i < backend_.size(); ++i) {
      if (!backend_[i].is_right) return false;
      if (backend_[i].samples.empty()) continue;  // caches: what reads them is held apart
      const std::optional<size_t> other = counterpart(i);
      if (other ? !engine_[*other].is_right || !differences(*other, i).empty()
                : !is_cut_otherwise(i)) {
        return false;
      }
    }
    return !backend_.empty();
  }

 private:
  // How far apart rounding has taken the two runs before node i.
  double largest_before(size_t i) const {
    double largest = 0;
    for (const GraphSource& source : backend_[i].sources) {
      const auto maker = backend_edges_.maker_of(source, i);
      if (maker) largest = std::max(largest, levels_[*maker]);
    }
    return largest;
  }

  Match match(size_t i, const std::vector<size_t>& candidates) const {
    const GraphNode& node = backend_[i];
    Match best;
    for (const size_t candidate : candidates) {
      const GraphNode& other = engine_[candidate];
      if (other.layer >= 0 && node.layer >= 0 && other.layer != node.layer) continue;
      const double distance = sampled_distance(other, node);
      const auto likeness = [&](const GraphNode& one) {
        return 2 * (one.op == node.op) + (one.name == node.name);
      };
      const bool is_better =
          !best.nearest || distance < best.distance ||
          (distance == best.distance && likeness(other) > likeness(engine_[*best.nearest]));
      if (is_better) best = {candidate, distance, false};
    }
    best.is_equal = best.distance <= std::max(rounding_of(node), grown(largest_before(i)));
    return best;
  }

  // A part of what the engine has in one operation, or such an operation: what it reads goes there
  // into another fusion, or into the weights that it reads itself.
  bool is_cut_otherwise(size_t i) const {
    const GraphNode& node = backend_[i];
    bool is_part = is_fusion(node.op) || is_gate(node.op);
    for (const GraphSource& source : node.sources) {
      const auto maker = backend_edges_.maker_of(source, i);
      if (!maker) continue;
      if (node.op == "MUL" && is_gate(backend_[*maker].op)) {
        is_part = true;
        continue;
      }
      const auto partner = partner_of(source, i);
      if (!partner) continue;
      const auto fits = [&](size_t reader) {
        const GraphNode& other = engine_[reader];
        return is_fusion(other.op) || is_gate(other.op) ||
               std::ranges::any_of(node.sources, [&](const GraphSource& one) {
                 return one.is_weight && other.reads_weight(one.name);
               });
      };
      if (std::ranges::none_of(engine_edges_.readers(*partner), fits)) return false;
    }
    return is_part;
  }

  // Two right operations that read the same part by rounding alone, however far: by a choice that
  // it tipped, such as of experts. Then they are each other's, whatever is nearest.
  void explain(size_t i) {
    Match& match = matches_[i];
    if (!backend_[i].is_right || !match.nearest || !has_equal_sources(i)) return;
    for (const GraphSource& source : backend_[i].sources) {
      const auto maker = backend_edges_.maker_of(source, i);
      if (maker && backend_[*maker].samples.empty() && !backend_[*maker].is_right) return;
    }
    const std::optional<size_t> other = counterpart(i);
    if (!other) {
      match.is_equal = is_cut_otherwise(i);
    } else if (engine_[*other].is_right && differences(*other, i).empty()) {
      match = {other, sampled_distance(engine_[*other], backend_[i]), true};
    }
  }

  std::vector<GraphDifference> differences(size_t a, size_t b) const {
    std::vector<GraphDifference> out;
    compare_parameters(engine_[a], backend_[b], out);
    compare_masks(engine_[a], backend_[b], out);
    compare_sources(a, b, out);
    return out;
  }

  bool is_other(size_t i) const { return !backend_[i].samples.empty() && !matches_[i].is_equal; }

  // Nodes whose values the engine has nowhere, and from which only such lead to the end.
  void find_deviating() {
    deviates_.assign(backend_.size(), false);
    if (backend_.empty() || !is_other(backend_.size() - 1)) return;
    deviates_.back() = true;
    for (size_t i = backend_.size() - 1; i-- > 0;) {
      // What has no samples, such as a cache, lets deviations through.
      if (!is_other(i) && !backend_[i].samples.empty()) continue;
      for (const size_t reader : backend_edges_.readers(i)) {
        if (deviates_[reader]) deviates_[i] = true;
      }
    }
    for (size_t i = 0; i < backend_.size(); ++i) deviates_[i] = deviates_[i] && is_other(i);
  }

  bool has_equal_sources(size_t i) const {
    return std::ranges::all_of(backend_[i].sources, [&](const GraphSource& source) {
      const auto maker = backend_edges_.maker_of(source, i);
      return !maker || is_clean_[*maker];
    });
  }

  // The engine's node with the values of a source of the backend's; none for inputs.
  std::optional<size_t> partner_of(const GraphSource& source, size_t reader) const {
    const auto maker = backend_edges_.maker_of(source, reader);
    return maker && matches_[*maker].is_equal ? matches_[*maker].nearest : std::nullopt;
  }

  // How much of what backend node b reads the engine's node a reads too.
  int shared_sources(size_t a, size_t b) const {
    int n = 0;
    for (const GraphSource& theirs : backend_[b].sources) {
      const auto partner = partner_of(theirs, b);
      n += std::ranges::any_of(engine_[a].sources, [&](const GraphSource& ours) {
        if (partner) return engine_edges_.maker_of(ours, a) == partner;
        return ours.is_there && theirs.is_there && ours.name == theirs.name;
      });
    }
    return n;
  }

  std::optional<size_t> counterpart(size_t b) const {
    std::optional<size_t> best;
    int most = 0;
    for (size_t a = 0; a < engine_.size(); ++a) {
      if (engine_[a].op != backend_[b].op) continue;
      if (engine_[a].layer >= 0 && backend_[b].layer >= 0 &&
          engine_[a].layer != backend_[b].layer) {
        continue;
      }
      const int shared = 2 * shared_sources(a, b) + (engine_[a].name == backend_[b].name);
      if (shared > most && shared >= 2) {
        most = shared;
        best = a;
      }
    }
    return best;
  }

  void compare_parameters(const GraphNode& a, const GraphNode& b,
                          std::vector<GraphDifference>& out) const {
    constexpr size_t kExtFactor = 7;
    const bool no_yarn = b.op == "ROPE" && a.params[kExtFactor] == 0 && b.params[kExtFactor] == 0;
    for (const OpParameter& parameter : parameters_of(b.op)) {
      const bool is_of_yarn = parameter.index == 4 || parameter.index == 9 || parameter.index == 10;
      if (no_yarn && is_of_yarn) continue;
      const int32_t ours = a.params[parameter.index], theirs = b.params[parameter.index];
      if (ours == theirs) continue;
      out.push_back({.kind = GraphDifference::Kind::parameter,
                     .what = std::string(parameter.name),
                     .engine = parameter_text(parameter, ours),
                     .backend = parameter_text(parameter, theirs)});
    }
  }

  static void compare_masks(const GraphNode& a, const GraphNode& b,
                            std::vector<GraphDifference>& out) {
    const auto visible = [](const GraphNode& node) {
      int64_t n = -1;
      for (const GraphSource& source : node.sources) n = std::max(n, source.n_visible);
      return n;
    };
    const int64_t ours = visible(a), theirs = visible(b);
    if (ours < 0 || theirs < 0 || ours == theirs) return;
    out.push_back({.kind = GraphDifference::Kind::mask,
                   .what = "the mask of " + b.name,
                   .engine = std::to_string(ours),
                   .backend = std::to_string(theirs)});
  }

  void compare_sources(size_t a, size_t b, std::vector<GraphDifference>& out) const {
    const auto& ours = engine_[a].sources;
    const auto& theirs = backend_[b].sources;
    const GraphSource none{.is_there = false};
    for (size_t i = 0; i < std::max(ours.size(), theirs.size()); ++i) {
      const GraphSource& x = i < ours.size() ? ours[i] : none;
      const GraphSource& y = i < theirs.size() ? theirs[i] : none;
      if (!x.is_there && !y.is_there) continue;
      if (x.is_there && y.is_there && x.is_weight && y.is_weight && x.name == y.name) continue;
      const auto maker_a = engine_edges_.maker_of(x, a), maker_b = backend_edges_.maker_of(y, b);
      if (x.is_there && y.is_there && !x.is_weight && !y.is_weight) {
        // Inputs, such as positions and masks; and caches.
        const bool is_computed_a = maker_a && !engine_[*maker_a].samples.empty();
        const bool is_computed_b = maker_b && !backend_[*maker_b].samples.empty();
        if (!is_computed_a && !is_computed_b) continue;
        const auto partner = partner_of(y, b);
        // A clamp that clamped nothing holds what it read: within one engine to the last bits.
        if (partner && maker_a && hold_alike(engine_[*partner], engine_[*maker_a], 1e-5)) continue;
        if (maker_a && maker_b &&
            hold_alike(engine_[*maker_a], backend_[*maker_b],
                       std::max(rounding_of(backend_[*maker_b]), 1e-4))) {
          continue;
        }
      }
      const auto text = [](const GraphSource& source, const Graph& graph,
                           std::optional<size_t> maker) {
        return !source.is_there ? std::string("nothing")
               : maker          ? shown(graph[*maker])
                                : source.name;
      };
      out.push_back({.kind = GraphDifference::Kind::source,
                     .what = fmt::format("source {}", i),
                     .engine = text(x, engine_, maker_a),
                     .backend = text(y, backend_, maker_b)});
    }
  }

  // What the engine does with the values that node b reads, where it does something else.
  void compare_readers(size_t b, std::vector<GraphDifference>& out) const {
    const GraphNode& node = backend_[b];
    std::set<std::string> engines_weights = weights_of(engine_), backends = weights_of(backend_);
    for (const GraphSource& source : node.sources) {
      if (!source.is_weight || engines_weights.contains(source.name)) continue;
      out.push_back({.kind = GraphDifference::Kind::weight,
                     .what = source.name,
                     .engine = "not read",
                     .backend = shown(node),
                     .is_engines = true});
    }
    for (const GraphSource& source : node.sources) {
      const auto partner = partner_of(source, b);
      if (!partner) continue;
      for (const size_t reader : engine_edges_.readers(*partner)) {
        const GraphNode& other = engine_[reader];
        for (const GraphSource& weight : other.sources) {
          if (!weight.is_weight || backends.contains(weight.name)) continue;
          out.push_back({.kind = GraphDifference::Kind::weight,
                         .what = weight.name,
                         .engine = shown(other),
                         .backend = "not read"});
        }
      }
      if (!out.empty()) return;
      const std::vector<size_t>& readers = engine_edges_.readers(*partner);
      if (readers.empty() || is_fusion(node.op) || is_fusion(engine_[readers.front()].op)) continue;
      out.push_back({.kind = GraphDifference::Kind::operation,
                     .what = "what reads " + shown(backend_[*backend_edges_.maker_of(source, b)]),
                     .engine = shown(engine_[readers.front()]),
                     .backend = shown(node)});
      return;
    }
  }

  // The node whose values are the first that node i reads.
  static std::optional<size_t> first_read(const Graph& graph, const GraphEdges& edges, size_t i) {
    for (const GraphSource& source : graph[i].sources) {
      if (const auto maker = edges.maker_of(source, i)) return maker;
    }
    return std::nullopt;
  }

  // A norm with its weight in one operation, where the engine has two: what it is the norm of.
  void compare_fused_norm(size_t b, std::vector<GraphDifference>& out) const {
    const GraphNode& node = backend_[b];
    const auto theirs = first_read(backend_, backend_edges_, b);
    if ((node.op != "FUSED_RMS_NORM" && node.op != "FUSED_NORM") || !theirs) return;
    const size_t none = engine_.size();
    const Match& match = matches_[*theirs];
    const size_t partner = match.is_equal ? match.nearest.value_or(none) : none;
    for (size_t a = 0; a < engine_.size(); ++a) {
      const auto reads_it = [&](const GraphSource& source) {
        return source.is_weight && engine_[a].reads_weight(source.name);
      };
      if (engine_[a].op != "MUL" || std::ranges::none_of(node.sources, reads_it)) continue;
      const auto norm = first_read(engine_, engine_edges_, a);
      if (!norm || !engine_[*norm].op.ends_with("NORM")) continue;
      const auto ours = first_read(engine_, engine_edges_, *norm);
      if (!ours || (partner != none && hold_alike(engine_[partner], engine_[*ours], 1e-5)))
        continue;
      out.push_back({.kind = GraphDifference::Kind::source,
                     .what = "source 0",
                     .engine = shown(engine_[*ours]),
                     .backend = shown(backend_[*theirs])});
      return;
    }
  }

  static std::set<std::string> weights_of(const Graph& graph) {
    std::set<std::string> names;
    for (const GraphNode& node : graph) {
      for (const GraphSource& source : node.sources) {
        if (source.is_weight) names.insert(source.name);
      }
    }
    return names;
  }

  // A window that is another, or none, in the same layer: its mask is read after what parted.
  void compare_layers_mask(size_t b, std::vector<GraphDifference>& out) const {
    const int layer = backend_[b].layer;
    if (layer < 0) return;
    for (const GraphNode& theirs : backend_) {
      if (theirs.layer != layer || (theirs.op != "SOFT_MAX" && theirs.op != "FLASH_ATTN_EXT")) {
        continue;
      }
      for (const GraphNode& ours : engine_) {
        if (ours.layer == layer && ours.op == theirs.op) {
          compare_masks(ours, theirs, out);
          return;
        }
      }
    }
  }

  GraphParting describe(size_t b) const {
    GraphParting parting;
    parting.backend = b;
    std::vector<GraphDifference>& out = parting.differences;
    if (const std::optional<size_t> other = counterpart(b)) {
      out = differences(*other, b);
    } else {
      compare_readers(b, out);
      if (out.empty()) compare_fused_norm(b, out);
    }
    const auto is_mask = [](const GraphDifference& one) {
      return one.kind == GraphDifference::Kind::mask;
    };
    if (std::ranges::none_of(out, is_mask)) compare_layers_mask(b, out);
    // A window that is another leads: what else differs in the layer follows from it.
    std::stable_partition(out.begin(), out.end(), is_mask);
    if (out.empty()) out.push_back({.kind = GraphDifference::Kind::result});
    for (const GraphSource& source : backend_[b].sources) {
      const auto maker = backend_edges_.maker_of(source, b);
      if (maker && source.origin && backend_[*maker].samples.empty()) {
        parting.unseen.push_back(*maker);
      }
    }
    return parting;
  }

  const Graph &engine_, &backend_;
  const GraphEdges engine_edges_, backend_edges_;
  std::vector<Match> matches_;
  std::vector<double> levels_;  // of deviations by rounding alone
  std::vector<bool> is_clean_;  // it does not hold what deviates
  std::vector<bool> deviates_;
};

}  // namespace

GraphComparison compare_graphs(const std::vector<GraphNode>& engine,
                               const std::vector<GraphNode>& backend, bool logits_part) {
  const Comparison comparison(engine, backend);
  GraphComparison result{.parting = comparison.parting()};
  if (result.parting || !logits_part) return result;
  result.parting = comparison.hidden_parting();
  result.is_alike = !result.parting && comparison.is_alike();
  return result;
}

}  // namespace crossval
