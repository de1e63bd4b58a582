// Several engines for people: what each pair means in a line, a matrix of statuses, the vote. The
// positions of a pair are in the JSON, and in per-token of that pair alone.
#include <fmt/format.h>

#include <algorithm>

#include "render/text.h"
#include "render/visible.h"

namespace crossval {
namespace {

constexpr int kNameColumns = 22;

std::string cell(const std::string& words) {
  const int missing = kNameColumns - columns(words);
  return words + std::string(static_cast<size_t>(std::max(missing, 0)), ' ') + " ";
}

std::string name_of(const ParityReport& report, size_t i) {
  return visible(i < report.participants.size() ? report.participants[i] : "?");
}

std::string status_words(const Report& pair) {
  std::string out = status_name(pair.status);
  if (pair.summary && pair.summary->min_cosine) {
    out += fmt::format(" {:.6f}", *pair.summary->min_cosine);
  }
  return out;
}

const Report& pair_of(const ParityReport& report, size_t a, size_t b) {
  const size_t n = report.participants.size();
  size_t index = 0;
  for (size_t i = 0; i < a; ++i) index += n - 1 - i;
  return report.pairs.at(index + b - a - 1);
}

std::string matrix(const ParityReport& report) {
  const size_t n = report.participants.size();
  std::string out = cell("");
  for (size_t i = 0; i < n; ++i) out += cell(name_of(report, i));
  for (size_t row = 0; row < n; ++row) {
    out = out.substr(0, out.find_last_not_of(' ') + 1) + "\n" + cell(name_of(report, row));
    for (size_t column = 0; column < n; ++column) {
      out +=
          cell(row == column
                   ? "."
                   : status_words(pair_of(report, std::min(row, column), std::max(row, column))));
    }
  }
  return out.substr(0, out.find_last_not_of(' ') + 1) + "\n(status and lowest cosine)\n";
}

}  // namespace

std::string parity_text(const ParityReport& report, const RenderOptions& options) {
  const size_t n = report.participants.size();
  const bool complete = n > 1 && report.pairs.size() == n * (n - 1) / 2;
  std::string out = report.pairs.empty() ? "" : heading_text(report.pairs.front());
  std::vector<std::string> titles;
  for (size_t a = 0; complete && a < n; ++a) {
    for (size_t b = a + 1; b < n; ++b) {
      titles.push_back(fmt::format("{} against {}", name_of(report, a), name_of(report, b)));
    }
  }
  for (size_t i = 0; i < report.pairs.size(); ++i) {
    const Report& pair = report.pairs[i];
    const auto name = [](const auto& side) { return side ? side->info.name : std::string("?"); };
    if (!complete) {
      titles.push_back(
          visible(fmt::format("{} against {}", name(pair.engine), name(pair.backend))));
    }
    out += fmt::format("\n{}\n{}", titles[i],
                       pair.error ? error_text(*pair.error, pair.status, options)
                                  : meaning_text(pair) + "\n" + log_text(pair));
  }
  if (complete) out += fmt::format("\n{}", matrix(report));
  return out + "\n" + finding_text(finding_of(report), status_name(report.status())) + "\n";
}

}  // namespace crossval
