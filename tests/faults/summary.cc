#include "faults/summary.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <vector>

namespace crossval::testing {
namespace {

struct Counts {
  int n = 0, detected = 0;
  int n_tensor = 0, tensor = 0, n_cause = 0, cause = 0;
  int refused = 0, no_effect = 0;
};

bool counts(const Outcome& o) { return !o.refused && !o.no_effect; }
bool is_clean(const Outcome& o) { return o.group == "clean"; }
bool has_right_tensor(const Outcome& o) { return o.detected && o.right_tensor; }
bool has_right_cause(const Outcome& o) { return o.detected && o.right_cause; }

void add(Counts& sum, const Outcome& o) {
  sum.refused += o.refused ? 1 : 0;
  sum.no_effect += o.no_effect ? 1 : 0;
  if (!counts(o)) return;
  ++sum.n;
  sum.detected += o.detected ? 1 : 0;
  if (o.judges_tensor) {
    ++sum.n_tensor;
    sum.tensor += has_right_tensor(o) ? 1 : 0;
  }
  if (o.judges_cause) {
    ++sum.n_cause;
    sum.cause += has_right_cause(o) ? 1 : 0;
  }
}

std::string share(int n, int of) { return of == 0 ? "-" : fmt::format("{}/{}", n, of); }

std::string row(const std::string& name, const Counts& c) {
  return fmt::format("{:<24} {:>5} {:>10} {:>10} {:>10} {:>8} {:>10}\n", name, c.n,
                     share(c.detected, c.n), share(c.tensor, c.n_tensor), share(c.cause, c.n_cause),
                     c.refused, c.no_effect);
}

bool is_miss(const Outcome& o) {
  if (!counts(o)) return is_clean(o);  // a refused clean pair is none
  return !o.detected || (o.judges_tensor && !o.right_tensor) || (o.judges_cause && !o.right_cause);
}

Counts sum_of(std::span<const Outcome> outcomes, const std::vector<std::string>& groups) {
  Counts sum;
  for (const Outcome& o : outcomes) {
    if (std::ranges::find(groups, o.group) != groups.end()) add(sum, o);
  }
  return sum;
}

}  // namespace

std::string summary_text(std::span<const Outcome> outcomes) {
  std::string out = fmt::format("{:<24} {:>5} {:>10} {:>10} {:>10} {:>8} {:>10}\n", "class", "n",
                                "detected", "tensor", "cause", "refused", "no effect");
  for (const char* group :
       {"hyperparameter", "layout", "weights", "kernel", "tokenizer", "clean"}) {
    std::vector<std::string> order;
    std::map<std::string, Counts> by_fault;
    for (const Outcome& o : outcomes) {
      if (o.group != group) continue;
      if (!by_fault.contains(o.fault)) order.push_back(o.fault);
      add(by_fault[o.fault], o);
    }
    if (order.empty()) continue;
    out += fmt::format("-- {}{}\n", group, group == std::string("clean") ? " (no alarm)" : "");
    for (const std::string& fault : order) out += row(fault, by_fault[fault]);
    out += row(std::string("= ") + group, sum_of(outcomes, {group}));
  }
  for (const Outcome& o : outcomes) {
    if (!is_miss(o)) continue;
    out += fmt::format("MISS {}\n  said   {}\n  wanted {}\n", o.id, o.said, o.wanted);
  }
  return out;
}

bool meets_thresholds(std::span<const Outcome> outcomes) {
  const Counts faults = sum_of(outcomes, {"hyperparameter", "layout", "weights", "kernel"});
  const Counts causes = sum_of(outcomes, {"hyperparameter", "layout"});
  const Counts tokens = sum_of(outcomes, {"tokenizer"});
  const Counts clean = sum_of(outcomes, {"clean"});
  const auto at_least = [](int n, int of, double part) { return n >= part * of; };
  return faults.n + tokens.n + clean.n > 0 && at_least(faults.detected, faults.n, 0.95) &&
         at_least(faults.tensor, faults.n_tensor, 0.95) &&
         at_least(causes.cause, causes.n_cause, 0.80) && tokens.detected == tokens.n &&
         clean.detected == clean.n && clean.refused == 0;
}

}  // namespace crossval::testing
