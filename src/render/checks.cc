#include "render/checks.h"

#include <fmt/format.h>

namespace crossval {
namespace {

using Outcome = Check::Outcome;

std::string name_of(const std::optional<EngineReport>& side) {
  if (!side) return "?";
  return side->info.name + (side->info.version.empty() ? "" : " " + side->info.version);
}

std::string error_details(const ErrorReport& error) {
  return fmt::format("where: {}\nfix: {}", error.where, error.fix);
}

// What every list begins with: the ids, and what ended the run.
CheckList begin_list(const char* name, const Report& report, const Finding& finding) {
  CheckList list;
  list.name = name;
  list.sides = name_of(report.engine) + " against " + name_of(report.backend);
  list.model = report.model.path;
  list.time_ms = report.timing.total_ms;
  list.finding = finding;
  list.status = report.status;
  list.date = report.run.date;
  if (report.tokens.match) {
    Check check{.name = "ids", .message = "", .details = ""};
    if (!*report.tokens.match) {
      check.outcome = Outcome::failed;
      check.message = finding.headline;
      if (report.tokens.first_mismatch) check.details = report.tokens.first_mismatch->hint;
    }
    list.checks.push_back(std::move(check));
  }
  return list;
}

void add_error(const std::optional<ErrorReport>& error, CheckList& list) {
  if (!error) return;
  list.checks.push_back({"run", Outcome::error, error->what, error_details(*error)});
}

// A list that says nothing failed, of a result that is not well, would read as agreement.
void add_finding(CheckList& list) {
  const bool well = list.status == Status::agree;
  for (const Check& check : list.checks) {
    if (!well && (check.outcome == Outcome::failed || check.outcome == Outcome::error)) return;
  }
  if (well && !list.checks.empty()) return;
  std::string details;
  for (const std::string& note : list.finding.notes) details += note + "\n";
  list.checks.push_back(
      {"verdict", well ? Outcome::passed : Outcome::failed, list.finding.headline, details});
}

CheckList list_of(const Report& report) {
  CheckList list = begin_list("per-token", report, finding_of(report));
  for (const JudgedPosition& position : report.positions) {
    const ComparedPosition& c = position.compared;
    Check check{
        .name = fmt::format("position {} ({}) {}", c.index, phase_name(c.phase), c.token.text),
        .message = "",
        .details = ""};
    if (position.verdict == Verdict::diverged) {
      const PositionMetrics& m = c.metrics;
      check.outcome = Outcome::failed;
      check.message = fmt::format(
          "cosine {}, rel_l2 {}, noise ratio {}, NaN/Inf {}/{}",
          m.cosine ? fmt::format("{:.7f}", *m.cosine) : "unknown",
          m.rel_l2 ? fmt::format("{:.3g}", *m.rel_l2) : "unknown",
          position.noise_ratio ? fmt::format("{:.3g}", *position.noise_ratio) : "unknown",
          m.non_finite_engine, m.non_finite_backend);
    }
    list.checks.push_back(std::move(check));
  }
  add_error(report.error, list);
  add_finding(list);
  return list;
}

CheckList list_of(const RunReport& report) {
  CheckList list;
  list.name = "run";
  list.sides = name_of(report.engine);
  list.model = report.model.path;
  list.time_ms = report.total_ms;
  list.finding = finding_of(report);
  list.status = report.status;
  list.date = report.run.date;
  add_error(report.error, list);
  add_finding(list);
  return list;
}

CheckList list_of(const InspectReport& report) {
  CheckList list;
  list.name = "inspect";
  const auto path = report.facts.find("path");
  if (path != report.facts.end() && path->is_string()) list.model = path->get<std::string>();
  list.finding = finding_of(report);
  list.status = report.status;
  list.date = report.run.date;
  add_error(report.error, list);
  add_finding(list);
  return list;
}

CheckList list_of(const ConversionReport& report) {
  CheckList list;
  list.name = "check-conversion";
  list.sides = report.checkpoint.path;
  list.model = report.model.path;
  list.time_ms = report.total_ms;
  list.finding = finding_of(report);
  list.status = report.status;
  list.date = report.run.date;
  const auto counted = [&](const char* what, const ConversionCount& count) {
    if (count.compared == 0) return;
    list.checks.push_back(
        {.name = fmt::format("{} {}", count.compared, what),
         .outcome = count.differing == 0 ? Outcome::passed : Outcome::failed,
         .message = count.differing == 0 ? "" : fmt::format("{} differ", count.differing),
         .details = ""});
  };
  counted("keys", report.keys);
  counted("tensors", report.tensors);
  counted("tokens", report.tokens);
  counted("merges", report.merges);
  counted("special tokens", report.specials);
  counted("chat templates", report.templates);
  for (const std::string& what : report.not_compared) {
    list.checks.push_back(
        {.name = what, .outcome = Outcome::skipped, .message = "not compared", .details = ""});
  }
  add_error(report.error, list);
  add_finding(list);
  return list;
}

CheckList list_of(const TraceReport& report) {
  const Report& base = report.base;
  const Finding finding = finding_of(report);
  CheckList list = begin_list(report.of_saved_runs ? "trace-diff" : "trace", base, finding);
  if (report.self) {
    for (const SelfRow& row : *report.self) {
      const bool refused = row.verdict == SelfVerdict::refused;
      const bool failed = row.verdict == SelfVerdict::diverged;
      list.checks.push_back({fmt::format("{} ({})", row.setting, row.changed),
                             refused  ? Outcome::skipped
                             : failed ? Outcome::failed
                                      : Outcome::passed,
                             row.note, ""});
    }
  } else {
    for (const TapReport& tap : report.taps) {
      Check check{
          .name = fmt::format("{} {} #{} at {}", tap.tensor.empty() ? "(unnamed)" : tap.tensor,
                              tap.op, tap.occurrence, tap.first_position),
          .message = tap.note,
          .details = ""};
      if (tap.verdict == TapVerdict::not_replayed) check.outcome = Outcome::skipped;
      if (tap.verdict == TapVerdict::diverged) {
        check.outcome = Outcome::failed;
        check.message = tap.own_error ? fmt::format("own error {:.2e}, rounding explains {:.2e}",
                                                    *tap.own_error, tap.floor.value_or(0))
                                      : fmt::format("the runs are {} apart",
                                                    tap.rel_l2 ? fmt::format("{:.3g}", *tap.rel_l2)
                                                               : "not comparable");
      }
      list.checks.push_back(std::move(check));
    }
  }
  add_error(base.error, list);
  add_finding(list);
  return list;
}

}  // namespace

std::vector<CheckList> checks_of(const Result& result) {
  if (const auto* parity = std::get_if<ParityReport>(&result)) {
    std::vector<CheckList> lists;
    for (const Report& pair : parity->pairs) lists.push_back(list_of(pair));
    return lists;
  }
  if (const auto* report = std::get_if<Report>(&result)) return {list_of(*report)};
  if (const auto* run = std::get_if<RunReport>(&result)) return {list_of(*run)};
  if (const auto* inspect = std::get_if<InspectReport>(&result)) return {list_of(*inspect)};
  if (const auto* conversion = std::get_if<ConversionReport>(&result)) {
    return {list_of(*conversion)};
  }
  return {list_of(std::get<TraceReport>(result))};
}

}  // namespace crossval
