// The sentences of trace, trace-diff and trace --self.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "verdict/finding.h"
#include "verdict/finding_words.h"
#include "verdict/trace_report.h"

namespace crossval {
namespace {

std::string name_of(const TapReport& tap) { return tap.tensor.empty() ? "(unnamed)" : tap.tensor; }

// How far two saved runs are apart at a tensor.
std::string distance_words(const TapReport& tap) {
  const std::string name = fmt::format("{} {}", name_of(tap), tap.op);
  if (tap.distance && !tap.distance->same_shape) return name + ": other shape";
  if (!tap.distance || tap.distance->worst_position < 0) return name + ": the same";
  return fmt::format("{}: rel_l2 {:.3g}, max_abs {:.3g}, worst at position {}", name,
                     tap.rel_l2.value_or(0), tap.distance->max_abs, tap.distance->worst_position);
}

Finding of_saved_runs(const TraceReport& report) {
  Finding finding;
  const std::string counts =
      fmt::format("{} compared, {} beyond {:.0e}", plural(report.n_taps, "tensor"),
                  report.n_diverged, kMaxSavedRounding);
  if (report.first_divergence) {
    finding.headline = "first at " + distance_words(report.first_divergence->tap) + "; " + counts;
  } else {
    const auto worst = std::ranges::max_element(
        report.taps, {}, [](const TapReport& tap) { return tap.rel_l2.value_or(0); });
    const bool any = worst != report.taps.end() && worst->rel_l2.value_or(0) > 0;
    finding.headline =
        counts + (any ? "; farthest apart is " + distance_words(*worst) : "; all are equal");
  }
  if (!report.unpaired.empty()) {
    finding.notes.push_back(fmt::format(
        "{} in one run only and not compared",
        report.unpaired.size() == 1 ? "1 tensor is"
                                    : fmt::format("{} tensors are", report.unpaired.size())));
  }
  return finding;
}

std::string share_words(const TraceFault& fault) {
  return fault.share ? fmt::format("; alone it makes {:.2g} of the logits' distance", *fault.share)
                     : "";
}

// What else is wrong by itself, when it is not of the first one's kind.
void add_other_faults(const TraceReport& report, Finding& finding) {
  constexpr size_t max_shown = 8;
  if (!report.faults.empty() && report.faults.front().share) {
    finding.notes.push_back(fmt::format("the first of {} faults{}", report.faults.size(),
                                        share_words(report.faults.front())));
  }
  for (size_t i = 1; i < std::min(report.faults.size(), max_shown); ++i) {
    const TraceFault& fault = report.faults[i];
    finding.notes.push_back(fmt::format(
        "also {} ({}), at {}{}: {}{}", cause_info(fault.cause).kind, cause_info(fault.cause).word,
        fault.tensors.empty() ? "a tensor" : fault.tensors.front(),
        fault.tensors.size() > 1 ? fmt::format(" and {} more", fault.tensors.size() - 1) : "",
        fault.explanation, share_words(fault)));
  }
  if (report.faults.size() > max_shown) {
    finding.notes.push_back(
        fmt::format("also {} more faults; JSON lists them", report.faults.size() - max_shown));
  }
}

Finding of_divergence(const TraceReport& report) {
  const TraceDivergence& d = *report.first_divergence;
  const auto& side = d.in_engine ? report.base.engine : report.base.backend;
  Finding finding;
  std::string& out = finding.headline;
  out = fmt::format("in {}, {}", side ? side->info.name : "it", name_of(d.tap));
  if (d.tap.occurrence > 0) out += fmt::format(" (occurrence {})", d.tap.occurrence);
  out += fmt::format(", {}", d.tap.op);
  if (!d.tap.weight.empty()) out += fmt::format(" with {}", d.tap.weight);
  if (d.tap.own_error && d.tap.ratio.value_or(0) > 1) {
    const bool is_whole = *d.tap.own_error > d.tap.floor.value_or(0);
    out += is_whole ? fmt::format(
                          ", is off by {:.2e} from what its own inputs call for; rounding explains "
                          "{:.2e}",
                          *d.tap.own_error, d.tap.floor.value_or(0))
                    : fmt::format(
                          ", is off in a part of it by {:.3g} times what rounding explains there",
                          *d.tap.ratio);
  }
  out += fmt::format("; worst at position {}", d.position);
  if (d.column >= 0) out += fmt::format(", output {}", d.column);
  finding.notes.push_back(fmt::format("{} ({}): {}", cause_info(d.cause).kind,
                                      cause_info(d.cause).word, d.explanation));
  if (report.n_diverged > 1 && !d.in_engine) {
    finding.notes.push_back(
        fmt::format("{} of {} tensors diverge by themselves; the others only inherit",
                    report.n_diverged, report.n_taps));
  }
  if (!d.in_engine) add_other_faults(report, finding);
  return finding;
}

Finding of_settings(const TraceReport& report) {
  int n_equal = 0, n_rounding = 0, n_refused = 0;
  const SelfRow* farthest = nullptr;
  for (const SelfRow& row : *report.self) {
    n_equal += row.verdict == SelfVerdict::equal;
    n_refused += row.verdict == SelfVerdict::refused;
    if (row.verdict != SelfVerdict::rounding) continue;
    ++n_rounding;
    if (farthest == nullptr || row.rel_l2 > farthest->rel_l2) farthest = &row;
  }
  Finding finding;
  finding.headline =
      fmt::format("{} settings give the same bits, {} only round otherwise", n_equal, n_rounding);
  if (n_refused > 0) finding.headline += fmt::format(", {} refused", n_refused);
  if (farthest != nullptr) {
    finding.headline += fmt::format("; rounding alone takes the logits {:.1e} apart ({}, {})",
                                    farthest->rel_l2, farthest->setting, farthest->changed);
  }
  if (report.n_replayed == 0) {
    finding.notes.emplace_back("note: no tensor could be recomputed: only bits were compared");
  }
  return finding;
}

// "coverage: 420 of 420 operations recomputed; with weights: Q4_1 210 of 210, F32 61 of 61".
std::string coverage_words(const TraceReport& report) {
  const Coverage& coverage = report.coverage;
  std::string words =
      fmt::format("coverage: {} of {} operations recomputed", coverage.n_recomputed, coverage.n);
  for (const Coverage::OfType& of : coverage.by_weight_type) {
    words +=
        fmt::format("{}{} {} of {}", &of == coverage.by_weight_type.data() ? "; weights: " : ", ",
                    of.type, of.n_recomputed, of.n);
  }
  return words + (report.structure_checked ? "; structure checked" : "; structure not checked");
}

// "output.bias, blk.0.ffn_up.bias, blk.1.ffn_up.bias and 3 more".
std::string first_of(const std::vector<std::string>& names) {
  constexpr size_t max_shown = 3;
  const std::vector<std::string> first(
      names.begin(),
      names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), max_shown)));
  std::string words = fmt::format("{}", fmt::join(first, ", "));
  if (names.size() > max_shown) words += fmt::format(" and {} more", names.size() - max_shown);
  return words;
}

void add_unread(const TraceReport& report, Finding& finding) {
  if (report.unread_weights.empty()) return;
  finding.notes.push_back("note: in the model file and read by no operation: " +
                          first_of(report.unread_weights));
}

Finding of_clean_run(const TraceReport& report) {
  Finding finding;
  finding.headline = fmt::format("{} of {} tensors recomputed from the backend's own inputs, ",
                                 report.n_replayed, report.n_taps);
  finding.headline += report.n_replayed == 0
                          ? "so nothing was checked"
                          : fmt::format("each within its rounding (at most {:.2g} of it)",
                                        report.largest_clean_ratio);
  finding.notes.push_back(coverage_words(report));
  if (!report.coverage.missing.empty()) {
    finding.notes.push_back(fmt::format(
        "inconclusive: {} with weights could not be recomputed ({}); --accept unchecked takes that "
        "as agreement",
        plural(report.coverage.n_unchecked_products, "product"),
        fmt::join(report.coverage.missing, ", ")));
  }
  if (const auto& hidden = report.coverage.not_shown; !hidden.empty()) {
    finding.notes.push_back(fmt::format(
        "inconclusive: what the engine does with {} it does not show ({}); --accept unchecked "
        "takes that as agreement",
        plural(std::ssize(hidden), "weight"), first_of(hidden)));
  }
  if (!report.rounded_types.empty()) {
    finding.notes.push_back(fmt::format(
        "note: the backend computes with the checkpoint's weights, which the file rounds ({}): "
        "each "
        "operation is within that rounding, which is all that parts the logits; `check-conversion` "
        "compares the weights one by one",
        fmt::join(report.rounded_types, ", ")));
  }
  finding.notes.insert(finding.notes.end(), report.base.remarks.begin(), report.base.remarks.end());
  const bool beside_native = report.base.engine && !report.base.engine->numerics.empty();
  if (report.parts_by_rounding && !beside_native) {
    finding.notes.emplace_back(
        "note: the logits part by rounding alone: both engines compute the same graph and are "
        "right "
        "in every operation of it");
  }
  if (!report.parameters_checked) {
    finding.notes.emplace_back(
        "note: this architecture's parameters are not known here: operations were checked, not "
        "whether they are the right ones");
  } else if (!report.structure_checked) {
    finding.notes.emplace_back(
        "note: operations and their parameters were checked, not whether the graph has all of "
        "them: it was not seen whole, or not all of this architecture is known here");
  }
  return finding;
}

}  // namespace

Finding finding_of(const TraceReport& report) {
  const Report& base = report.base;
  if (base.error || !base.tokens.match.value_or(true)) return finding_of(base);
  if (report.of_saved_runs) return of_saved_runs(report);
  Finding finding = report.first_divergence ? of_divergence(report)
                    : report.self           ? of_settings(report)
                                            : of_clean_run(report);
  if (base.model_diff && base.model_diff->bears() && !report.first_divergence && !report.self) {
    finding.headline += "; but the two files are not the same model";
  }
  add_model_diff(base.model_diff, finding);
  if (!report.of_saved_runs) add_unread(report, finding);
  if (report.lifted) {
    finding.notes.emplace_back("both sides read a copy of the model dequantised to F32");
  }
  for (const std::string& op : report.not_replayed) {
    finding.notes.push_back("not recomputed: " + op);
  }
  return finding;
}

}  // namespace crossval
