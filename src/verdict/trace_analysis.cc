#include "verdict/trace_analysis.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string_view>

#include "replay/f16_overflow.h"
#include "replay/replay.h"

namespace crossval {
namespace {

std::string first_weight(const Tap& tap) {
  for (const TapTensor& source : tap.sources) {
    if (source.is_weight) return source.name;
  }
  return "";
}

uint64_t hash_of(const TapTensor& tensor) {
  return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size()});
}

// Which position a row of a tap belongs to: the last dimension that counts tokens.
int position_of_row(const Tap& tap, int64_t row, size_t n_ids) {
  const auto n = static_cast<int64_t>(n_ids);
  int64_t token = row;
  if (tap.out.ne[1] == n) {
    token = row % n;
  } else if (tap.out.ne[2] == n && tap.out.ne[1] > 0) {
    token = row / tap.out.ne[1] % n;
  }
  return tap.first_position + static_cast<int>(std::clamp<int64_t>(token, 0, n > 0 ? n - 1 : 0));
}

}  // namespace

const char* verdict_name(TapVerdict verdict) {
  switch (verdict) {
    case TapVerdict::ok:
      return "ok";
    case TapVerdict::diverged:
      return "diverged";
    case TapVerdict::not_replayed:
      return "not_replayed";
  }
  return "not_replayed";
}

const char* self_verdict_name(SelfVerdict verdict) {
  switch (verdict) {
    case SelfVerdict::equal:
      return "equal";
    case SelfVerdict::rounding:
      return "rounding";
    case SelfVerdict::diverged:
      return "diverged";
    case SelfVerdict::refused:
      return "refused";
  }
  return "refused";
}

TraceAnalysis::TraceAnalysis(std::shared_ptr<const ModelFile> model,
                             std::shared_ptr<const ModelFile> engine_model,
                             std::shared_ptr<ThreadPool> pool)
    : model_(model),
      pool_(std::move(pool)),
      expectations_(model),
      structure_(expectations_.structure_check()),
      weights_(model),
      causes_(model, std::move(engine_model), weights_, *pool_) {}

void TraceAnalysis::enter_graph(const PlacedTap& placed) {
  if (placed.graph == graph_) return;
  graph_ = placed.graph;
  written_.clear();
  queries_.clear();
}

void TraceAnalysis::add(const PlacedTap& placed) {
  enter_graph(placed);
  const Tap& tap = placed.tap;
  TapReport report;
  report.tensor = tap.name;
  report.op = tap.op;
  report.occurrence = tap.occurrence;
  report.layer = tap.layer;
  report.first_position = tap.first_position;
  report.weight = first_weight(tap);
  for (const TapTensor& source : tap.sources) {
    // A part of a weight has its name, and " (view)" behind it.
    used_weights_.insert(source.name.substr(0, source.name.find(" (")));
  }
  if (const TensorView* weight = model_->find_tensor(report.weight)) {
    report.weight_type = type_name(weight->type);
  }
  judge(placed, report);
  if (structure_) {
    structure_->add(tap, placed.graph, taps_.size(), report.verdict == TapVerdict::diverged);
  }
  pass_over(placed);
  taps_.push_back(std::move(report));
}

void TraceAnalysis::pass_over(const PlacedTap& placed) {
  enter_graph(placed);
  const Tap& tap = placed.tap;
  const bool reads_queries = !tap.sources.empty() && tap.sources[0].name.starts_with("Qcur");
  if (tap.layer >= 0 && (tap.name.starts_with("Qcur") || reads_queries)) {
    Queries& queries = queries_.try_emplace(tap.layer, Queries::unscaled).first->second;
    if (tap.op == "SCALE") queries = Queries::scaled;
  }
  written_[tap.name].push_back({tap.occurrence, tap.out.type, tap.out.ne, hash_of(tap.out)});
}

TraceAnalysis::Queries TraceAnalysis::queries_of(int layer) const {
  const auto found = queries_.find(layer);
  return found == queries_.end() ? Queries::unknown : found->second;
}

// A result is shown when it is written and again when it is read: in between nobody may touch it.
const TapTensor* TraceAnalysis::find_overwritten(const Tap& tap) {
  for (size_t i = 0; i < tap.sources.size(); ++i) {
    const TapTensor& source = tap.sources[i];
    tells_origins_ = tells_origins_ || source.origin;
    if (source.data.empty() || (source.origin && !source.origin->is_whole)) continue;
    if (!source.origin && (tells_origins_ || (tap.op == "SET_ROWS" && i == 2))) continue;
    const auto written = written_.find(source.origin ? source.origin->name : source.name);
    if (written == written_.end()) continue;
    // Without an origin only the name is known, and two tensors may share it.
    const auto is_it = [&](const Written& one) {
      return source.origin ? one.occurrence == source.origin->occurrence
                           : one.type == source.type && one.ne == source.ne;
    };
    const uint64_t hash = hash_of(source);
    bool is_known = false, is_equal = false;
    for (const Written& one : written->second) {
      if (!is_it(one)) continue;
      is_known = true;
      is_equal = is_equal || one.hash == hash;
    }
    if (is_known && !is_equal) return &source;
  }
  return nullptr;
}

void TraceAnalysis::judge(const PlacedTap& placed, TapReport& report) {
  const Tap& tap = placed.tap;
  Expected expected = expectations_.expect(tap, placed.ids, queries_of(tap.layer));
  const Replayed replayed = replay(expected.operation, tap.out, weights_, *pool_);
  if (replayed.status == ReplayStatus::missing_weight && expectations_.knows_architecture()) {
    // The engine reads a weight that the model file does not have.
    std::vector<ParameterFault> extra;
    for (const TapTensor& source : tap.sources) {
      if (source.is_weight && weights_.find(source.name) == nullptr) {
        extra.push_back({Cause::extra_weight, source.name, "no such weight", "used"});
      }
    }
    if (!extra.empty()) {
      expected.faults = std::move(extra);
      suspect(placed, expected, replayed, report);
      return;
    }
  }
  if (replayed.status != ReplayStatus::replayed) {
    report.note = replayed.reason.empty() ? status_name(replayed.status) : replayed.reason;
    report.is_view = replayed.status == ReplayStatus::view;
    if (!report.is_view) {
      not_replayed_.insert(fmt::format("{}: {}", tap.op, report.note));
    }
    // A parameter that is wrong is wrong, even where the result is not computed here.
    if (!expected.faults.empty()) suspect(placed, expected, replayed, report);
    return;
  }
  report.own_error = replayed.rel_l2;
  report.floor = replayed.floor;
  report.ratio = replayed.ratio;
  report.arithmetic = replayed.arithmetic;
  const bool fails = replayed.ratio > 1 || replayed.n_born > 0 || replayed.n_lost > 0;
  if (fails || !expected.faults.empty()) {
    suspect(placed, expected, replayed, report);
    return;
  }
  if (const auto overflow = f16_overflow(tap)) {
    blame_overflow(tap, *overflow, report);
    return;
  }
  if (const TapTensor* input = find_overwritten(tap)) {
    blame_input(tap, *input, report);
    return;
  }
  report.verdict = TapVerdict::ok;
  largest_clean_ratio_ = std::max(largest_clean_ratio_, replayed.ratio);
}

// True for the first.
bool TraceAnalysis::keep(Cause cause, const std::string& explanation, TapReport& report) {
  report.verdict = TapVerdict::diverged;
  found_.push_back({taps_.size(), cause, explanation, ""});
  if (first_) return false;
  first_.emplace();
  first_index_ = taps_.size();
  first_->cause = cause;
  first_->explanation = explanation;
  return true;
}

void TraceAnalysis::blame_input(const Tap& tap, const TapTensor& input, TapReport& report) {
  const std::string words = fmt::format(
      "its input {} is not what the engine computed under that name: the memory was written to in "
      "between",
      input.name);
  if (keep(Cause::overwritten, words, report)) first_->position = tap.first_position;
}

void TraceAnalysis::blame_overflow(const Tap& tap, const std::string& words, TapReport& report) {
  if (keep(Cause::f16_overflow, words, report)) first_->position = tap.first_position;
}

void TraceAnalysis::suspect(const PlacedTap& placed, const Expected& expected,
                            const Replayed& replayed, TapReport& report) {
  // Looking for a cause takes many times as long as judging; a run that is wrong all over does not
  // get clearer by more of them.
  constexpr size_t max_explained = 48;
  Explanation explanation{.sentence = "wrong as well; not looked into"};
  if (found_.size() < max_explained) {
    explanation = causes_.explain({placed.tap, expected.operation, expected.faults, replayed});
  }
  if (!explanation.weight.empty()) report.weight = explanation.weight;
  if (!keep(explanation.cause, explanation.sentence, report)) return;
  first_->position =
      position_of_row(placed.tap, std::max<int64_t>(replayed.row.index, 0), placed.ids.size());
  first_->column = replayed.column.ratio >= replayed.row.ratio ? replayed.column.index : -1;
}

// Named at the tap that should have read it: the one with the weight that belongs to it.
void TraceAnalysis::blame_unused(const std::vector<std::string>& unused, TraceReport& report) {
  size_t best = taps_.size();
  std::string blamed;
  for (const std::string& name : unused) {
    const size_t dot = name.rfind('.');
    const std::string stem = name.substr(0, dot);
    const std::string layer = name.substr(0, name.find('.', 4));
    size_t place = taps_.size();
    for (size_t i = 0; i < taps_.size(); ++i) {
      const std::string& weight = taps_[i].weight;
      if (weight.starts_with(stem + ".")) {
        place = i;
        break;
      }
      if (place == taps_.size() && name.starts_with("blk.") && weight.starts_with(layer + ".")) {
        place = i;
      }
    }
    if (place == taps_.size() && !name.starts_with("blk.") && !taps_.empty()) {
      place = taps_.size() - 1;
    }
    if (place < best) {
      best = place;
      blamed = name;
    }
  }
  if (best >= taps_.size() || (first_ && first_index_ <= best)) return;
  taps_[best].weight = blamed;
  insert(best, blamed.ends_with(".bias") ? Cause::bias_missing : Cause::weight_unused,
         fmt::format("{} is in the model file and no operation of the engine's graph reads it{}",
                     blamed,
                     unused.size() > 1 ? fmt::format(" ({} such weights)", unused.size()) : ""));
  report.n_diverged = std::max(report.n_diverged, 1);
}

void TraceAnalysis::insert(size_t index, Cause cause, const std::string& explanation,
                           const std::string& what) {
  taps_[index].verdict = TapVerdict::diverged;
  const auto place = std::ranges::upper_bound(found_, index, {}, &Found::index);
  found_.insert(place, {index, cause, explanation, what});
  if (first_ && first_index_ <= index) return;
  first_.emplace();
  first_index_ = index;
  first_->cause = cause;
  first_->explanation = explanation;
  first_->position = taps_[index].first_position;
}

void TraceAnalysis::blame_structure(std::vector<std::string>& unread, TraceReport& report) {
  if (!structure_) return;
  for (const StructureFault& fault : structure_->finish(unread)) {
    if (!fault.weight.empty()) taps_[fault.index].weight = fault.weight;
    insert(fault.index, fault.cause, fault.sentence, fault.what);
  }
  report.structure_checked = structure_->is_complete();
}

void TraceAnalysis::finish(TracePart part, TraceReport& report) {
  std::vector<std::string> not_shown;
  if (part == TracePart::shown) not_shown = expectations_.unread_weights(used_weights_).needed;
  if (part == TracePart::whole_graph && !taps_.empty()) {
    Expectations::Unread unread = expectations_.unread_weights(used_weights_);
    blame_structure(unread.needed, report);
    if (!unread.needed.empty()) blame_unused(unread.needed, report);
    report.unread_weights = std::move(unread.others);
  }
  report.parameters_checked = expectations_.knows_architecture();
  for (const Found& found : found_) {
    add_fault(taps_[found.index], found.cause, found.explanation, report.faults, found.what);
  }
  report.largest_clean_ratio = largest_clean_ratio_;
  report.not_replayed.assign(not_replayed_.begin(), not_replayed_.end());
  report.n_taps = static_cast<int>(taps_.size());
  report.n_replayed = static_cast<int>(std::count_if(
      taps_.begin(), taps_.end(), [](const TapReport& t) { return t.own_error.has_value(); }));
  report.n_diverged =
      static_cast<int>(std::count_if(taps_.begin(), taps_.end(), [](const TapReport& t) {
        return t.verdict == TapVerdict::diverged;
      }));
  if (first_) {
    first_->tap = taps_[first_index_];
    report.first_divergence = std::move(first_);
  }
  report.taps = std::move(taps_);
  report.coverage = coverage_of(report);
  report.coverage.not_shown = std::move(not_shown);
  for (const Coverage::OfType& of : report.coverage.by_weight_type) {
    if (weights_.is_before_rounding() && of.type != "F32") report.rounded_types.push_back(of.type);
  }
}

}  // namespace crossval
