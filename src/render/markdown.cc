#include "render/markdown.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"
#include "render/checks.h"
#include "render/visible.h"

namespace crossval {
namespace {

constexpr size_t kMaxRows = 20;     // of a table
constexpr size_t kMaxLength = 300;  // of a cell

// Text that is no markup: one line, every character with a meaning behind a backslash, HTML as
// entities.
std::string plain(const std::string& text) {
  std::string out;
  for (const char c : visible(text)) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      if (std::string_view("\\`*_{}[]#|~@").find(c) != std::string_view::npos) out += '\\';
      out += c;
    }
  }
  return out;
}

// As plain(), but our own `code` in a finding stays code.
std::string sentence(const std::string& text) {
  std::string out;
  bool in_code = false;
  size_t at = 0;
  const bool paired = std::count(text.begin(), text.end(), '`') % 2 == 0;
  while (at <= text.size()) {
    const size_t tick = paired ? std::min(text.find('`', at), text.size()) : text.size();
    const std::string part = text.substr(at, tick - at);
    out += in_code ? "`" + visible(part) + "`" : plain(part);
    in_code = !in_code;
    at = tick + 1;
  }
  return out;
}

std::string cell(const std::string& text) {
  return plain(std::string(clip_utf8(text, kMaxLength)));
}

const char* mark(Status status) {
  switch (status) {
    case Status::agree:
      return "✅";
    case Status::inconclusive:
    case Status::bad_input:
    case Status::backend_failed:
      return "⚠️";
    default:
      return "❌";
  }
}

const char* word(Check::Outcome outcome) {
  switch (outcome) {
    case Check::Outcome::passed:
      return "ok";
    case Check::Outcome::failed:
      return "**diverged**";
    case Check::Outcome::error:
      return "**error**";
    case Check::Outcome::skipped:
      return "not checked";
  }
  return "";
}

void add_checks(const CheckList& list, std::string& out) {
  std::vector<const Check*> shown;
  for (const Check& check : list.checks) {
    if (check.outcome == Check::Outcome::failed || check.outcome == Check::Outcome::error) {
      shown.push_back(&check);
    }
  }
  const size_t n_wrong = shown.size();
  const size_t n = list.checks.size();
  out += fmt::format(
      "\n<details><summary>{} of {} checks passed</summary>\n\n",
      std::count_if(list.checks.begin(), list.checks.end(),
                    [](const Check& check) { return check.outcome == Check::Outcome::passed; }),
      n);
  if (n_wrong > 0) {
    out += "| check | result | |\n|---|---|---|\n";
    for (size_t i = 0; i < std::min(n_wrong, kMaxRows); ++i) {
      out += fmt::format("| {} | {} | {} |\n", cell(shown[i]->name), word(shown[i]->outcome),
                         cell(shown[i]->message));
    }
    if (n_wrong > kMaxRows) {
      out += fmt::format("\n{} more are in the JSON.\n", n_wrong - kMaxRows);
    }
  }
  out += "\n</details>\n";
}

}  // namespace

std::string markdown_result(const Result& result, const RenderOptions& options) {
  const Finding finding = finding_of(result);
  const Status status = status_of(result);
  std::string out =
      fmt::format("### {} crossval: {}{}\n\n{}\n", mark(status), status_name(status),
                  options.number > 0 ? fmt::format(", prompt {}", options.number) : "",
                  sentence(finding.headline));
  if (!finding.notes.empty()) out += "\n";
  const size_t n_notes = std::min(finding.notes.size(), kMaxRows);
  for (size_t i = 0; i < n_notes; ++i) out += fmt::format("- {}\n", sentence(finding.notes[i]));
  if (const ErrorReport* error = error_of(result)) {
    out += fmt::format("\n- where: {}\n- fix: {}\n", cell(error->where), sentence(error->fix));
  }
  const std::vector<CheckList> lists = checks_of(result);
  if (!lists.empty() && !lists.front().model.empty()) {
    out += "\n| | |\n|---|---|\n";
    out += fmt::format("| model | {} |\n", cell(lists.front().model));
  }
  for (const CheckList& list : lists) {
    if (lists.size() > 1) {
      out += fmt::format("\n#### {} {}: {}\n\n{}\n", mark(list.status), plain(list.sides),
                         status_name(list.status), sentence(list.finding.headline));
    } else if (!list.model.empty()) {
      out += fmt::format("| engines | {} |\n", cell(list.sides));
    }
    add_checks(list, out);
  }
  return out + "\n";
}

}  // namespace crossval
