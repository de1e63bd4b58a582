#include "verdict/graph_blame.h"

#include <fmt/format.h>

#include <algorithm>

#include "verdict/trace_analysis.h"

namespace crossval {
namespace {

using Kind = GraphDifference::Kind;

// "llama.cpp b4980".
std::string title(const std::optional<EngineReport>& side, const char* otherwise) {
  if (!side) return otherwise;
  return side->info.version.empty() ? side->info.name : side->info.name + " " + side->info.version;
}

struct CauseOfParameter {
  std::string_view name;  // its beginning
  Cause cause;
};
constexpr CauseOfParameter kCauses[] = {
    {"rope mode", Cause::rope_style},
    {"rope section", Cause::rope_style},
    {"rope base", Cause::rope_base},
    {"rope frequency scale", Cause::rope_scaling},
    {"YaRN", Cause::rope_scaling},
    {"attn_factor", Cause::rope_attn_factor},
    {"original context", Cause::rope_original_context},
    {"rotated dimensions", Cause::rope_dims},
    {"rms eps", Cause::rms_eps},
    {"norm eps", Cause::rms_eps},
    {"attention scale", Cause::attention_scale},
    {"soft cap", Cause::softcap},
};

Cause cause_of(const GraphDifference& difference, const GraphNode& node) {
  switch (difference.kind) {
    case Kind::parameter: {
      const auto* found = std::ranges::find_if(kCauses, [&](const CauseOfParameter& one) {
        return difference.what.starts_with(one.name);
      });
      return found == std::end(kCauses) ? Cause::graph : found->cause;
    }
    case Kind::mask:
      return Cause::sliding_window;
    case Kind::weight:
      return difference.what.ends_with(".bias") ? Cause::bias_missing : Cause::weight_unused;
    case Kind::source:
      return node.op == "ROPE" && difference.what == "source 2" ? Cause::rope_freqs : Cause::graph;
    case Kind::operation:
      return Cause::graph;
    case Kind::result:
      return Cause::kernel;
  }
  return Cause::graph;
}

class Words {
 public:
  Words(const TraceReport& report)
      : engine_(title(report.base.engine, "the engine")),
        backend_(title(report.base.backend, "the backend")) {}

  std::string of(const GraphDifference& difference, const GraphNode& node,
                 bool is_recomputed) const {
    switch (difference.kind) {
      case Kind::parameter:
      case Kind::operation:
        return fmt::format("{} is {} in {}, {} in {}", difference.what, difference.backend,
                           backend_, difference.engine, engine_);
      case Kind::mask:
        return fmt::format("{} shows the last position {} keys in {}, {} in {}: another window",
                           difference.what, difference.backend, backend_, difference.engine,
                           engine_);
      case Kind::weight:
        return difference.is_engines
                   ? fmt::format("{} is read by {} alone, at {}: {} leaves it out", difference.what,
                                 backend_, difference.backend, engine_)
                   : fmt::format("{} is read by {} alone, at {}: {} leaves it out", difference.what,
                                 engine_, difference.engine, backend_);
      case Kind::source:
        return fmt::format("{} reads {} in {}, {} in {}", node.op, difference.backend, backend_,
                           difference.engine, engine_);
      case Kind::result:
        return fmt::format(
            "the {} operation reads the same in both and gives other numbers{}", node.op,
            is_recomputed ? "" : "; it was not recomputed, so whose are right cannot be said here");
    }
    return "";
  }

 private:
  std::string engine_, backend_;
};

// Where the first divergence stands among the taps; behind them all when there is none.
size_t place_of_first(const TraceReport& report) {
  if (!report.first_divergence || report.first_divergence->in_engine) return report.taps.size();
  const TapReport& first = report.first_divergence->tap;
  const auto found = std::ranges::find_if(report.taps, [&](const TapReport& tap) {
    return tap.tensor == first.tensor && tap.occurrence == first.occurrence &&
           tap.first_position == first.first_position;
  });
  return static_cast<size_t>(found - report.taps.begin());
}

// The node to name: that whose values part, or one that it reads, of which neither values are known
// nor whether they are right.
size_t suspect_of(const GraphParting& parting, const std::vector<GraphNode>& backend,
                  const TraceReport& report) {
  if (parting.differences.front().kind != Kind::result) return parting.backend;
  for (const size_t unseen : parting.unseen) {
    const auto tap = static_cast<size_t>(backend[unseen].index);
    if (tap < report.taps.size() && !report.taps[tap].own_error) return unseen;
  }
  return parting.backend;
}

}  // namespace

void mark_right(const std::vector<TapReport>& taps, std::vector<GraphNode>& graph) {
  for (GraphNode& node : graph) {
    const auto index = static_cast<size_t>(node.index);
    node.is_right = index < taps.size() && taps[index].own_error.has_value() &&
                    taps[index].verdict == TapVerdict::ok;
  }
}

void blame_parting(const std::vector<GraphNode>& engine, const std::vector<GraphNode>& backend,
                   TraceReport& report) {
  const bool logits_part = report.base.status == Status::diverged;
  const GraphComparison comparison = compare_graphs(engine, backend, logits_part);
  const std::optional<GraphParting>& parting = comparison.parting;
  if (!parting) {
    report.parts_by_rounding = comparison.is_alike && !report.first_divergence;
    return;
  }
  const GraphNode& node = backend[suspect_of(*parting, backend, report)];
  const auto index = static_cast<size_t>(node.index);
  if (index >= report.taps.size() || place_of_first(report) <= index) return;
  TapReport& tap = report.taps[index];
  const GraphDifference& first = parting->differences.front();
  if (first.kind == Kind::result && !logits_part) return;
  const Words words(report);
  std::string sentence;
  constexpr size_t max_said = 4;
  for (size_t i = 0; i < std::min(parting->differences.size(), max_said); ++i) {
    sentence +=
        (i == 0 ? "" : "; ") + words.of(parting->differences[i], node, tap.own_error.has_value());
  }
  const Cause cause = cause_of(first, node);
  tap.verdict = TapVerdict::diverged;
  if (first.kind == Kind::weight) tap.weight = first.what;
  report.first_divergence = TraceDivergence{.tap = tap,
                                            .in_engine = first.is_engines,
                                            .position = tap.first_position,
                                            .cause = cause,
                                            .explanation = std::move(sentence)};
  report.n_diverged = std::max(report.n_diverged, 1);
  std::vector<TraceFault> faults;
  add_fault(tap, cause, report.first_divergence->explanation, faults);
  report.faults.insert(report.faults.begin(), faults.begin(), faults.end());
}

}  // namespace crossval
