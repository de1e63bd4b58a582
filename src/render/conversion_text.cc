#include "render/conversion_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "render/text.h"
#include "render/visible.h"
#include "verdict/finding.h"

namespace crossval {
namespace {

constexpr size_t kMostShown = 24;

std::string fault_text(const ConversionFault& fault) {
  std::string out = fmt::format("\n{} {}\n", fault.kind, visible(fault.where));
  const auto line = [&](const char* label, const std::string& text) {
    if (!text.empty()) out += fmt::format("  {:<11} {}\n", label, visible(text));
  };
  line("cause", fault.cause);
  line("checkpoint", fault.source);
  line("expected", fault.expected);
  line("in the file", fault.actual);
  line("", fault.explanation);
  return out;
}

std::string list_text(const char* title, const std::vector<std::string>& lines) {
  if (lines.empty()) return "";
  std::string out = fmt::format("\n{}\n", title);
  for (size_t i = 0; i < std::min(lines.size(), kMostShown); ++i) {
    out += "  " + visible(lines[i]) + "\n";
  }
  if (lines.size() > kMostShown) out += fmt::format("  and {} more\n", lines.size() - kMostShown);
  return out;
}

}  // namespace

std::string conversion_text(const ConversionReport& report) {
  std::string out;
  const auto line = [&out](const char* label, const std::string& text) {
    out += fmt::format("{:<15} {}\n", label, text);
  };
  line("model", visible(report.model.path));
  line("checkpoint", visible(report.checkpoint.path));
  const auto counted = [&](const char* what, const ConversionCount& count) {
    line(what, fmt::format("{} compared, {} differ", count.compared, count.differing));
  };
  if (!report.error) {
    counted("keys", report.keys);
    counted("tokens", report.tokens);
    counted("merges", report.merges);
    counted("special tokens", report.specials);
    counted("templates", report.templates);
    counted("tensors", report.tensors);
    if (report.weights_ms > 0) {
      line("weights",
           fmt::format("{} in {:.1f} s, {:.2f} GB/s", report.n_weights, report.weights_ms / 1e3,
                       static_cast<double>(report.bytes_read) / 1e6 / report.weights_ms));
    }
  }
  for (size_t i = 0; i < std::min(report.faults.size(), kMostShown); ++i) {
    out += fault_text(report.faults[i]);
  }
  if (report.faults.size() > kMostShown) {
    out +=
        fmt::format("\nand {} more (--format json has all)\n", report.faults.size() - kMostShown);
  }
  out += list_text("Not compared", report.not_compared);
  out += list_text("Notes", report.notes);
  out += "\n";
  if (report.error) return out + error_text(*report.error, report.status, {});
  const Finding finding = finding_of(report);
  return out + fmt::format("{}: {}\n", status_name(report.status), visible(finding.headline));
}

}  // namespace crossval
