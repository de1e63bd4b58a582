#include "render/self_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "render/paint.h"
#include "render/visible.h"

namespace crossval {
namespace {

std::string first_words(const SelfRow& row) {
  if (row.first_tensor.empty() && row.op.empty()) return "-";
  return fmt::format("{} {}", row.first_tensor.empty() ? "(unnamed)" : visible(row.first_tensor),
                     row.op);
}

std::string why(const SelfRow& row) {
  std::string out;
  if (row.verdict == SelfVerdict::refused) {
    out = "refused";
  } else if (row.verdict == SelfVerdict::diverged) {
    out = row.must_be_equal ? "DIVERGED: nothing may change here" : "DIVERGED";
  } else if (row.verdict == SelfVerdict::rounding) {
    out = "rounding";
    if (row.largest_ratio) {
      out += fmt::format(": {} tensors recomputed, at most {:.2g} of their bounds",
                         row.n_recomputed, *row.largest_ratio);
    }
  } else {
    out = "equal";
  }
  if (!row.note.empty()) out += ": " + visible(row.note);
  return out;
}

}  // namespace

std::string self_table(const TraceReport& report, const RenderOptions& options) {
  if (!report.self || report.self->empty()) return "";
  std::string out =
      paint(fmt::format("{:<18} {:<28} {:<5} {:>9} {:>10} {:>6}  {:<26} {}", "setting", "changed",
                        "bits", "rel_l2", "1-cosine", "top-1", "first tensor", "why"),
            kBold, options) +
      "\n";
  for (const SelfRow& row : *report.self) {
    const bool ran = row.bit_equal.has_value();
    const bool differs = ran && !*row.bit_equal;
    const std::string line = fmt::format(
        "{:<18} {:<28} {:<5} {:>9} {:>10} {:>6}  {:<26} {}", row.setting, visible(row.changed),
        !ran      ? "-"
        : differs ? "other"
                  : "same",
        differs ? fmt::format("{:.2e}", row.rel_l2) : "-",
        differs ? fmt::format("{:.2e}", std::max(0.0, 1 - row.min_cosine)) : "-",
        differs ? fmt::format("{}/{}", row.n_top1_changes, row.n_positions) : "-", first_words(row),
        why(row));
    const char* color = row.verdict == SelfVerdict::diverged  ? kRed
                        : row.verdict == SelfVerdict::refused ? kYellow
                                                              : nullptr;
    out += (color != nullptr ? paint(line, color, options) : line) + "\n";
  }
  return out;
}

}  // namespace crossval
