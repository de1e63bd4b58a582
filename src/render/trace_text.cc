#include "render/trace_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "render/paint.h"
#include "render/self_text.h"
#include "render/text.h"
#include "render/visible.h"

namespace crossval {
namespace {

std::string figure(const std::optional<double>& value) {
  return value ? fmt::format("{:.2e}", *value) : "-";
}

std::string name_of(const TapReport& tap) {
  return visible(tap.tensor.empty() ? "(unnamed)" : tap.tensor);
}

// Taps before the first layer belong above it, those after the last below.
struct LayerLine {
  std::string name;
  int n_taps = 0, n_diverged = 0;
  const TapReport* worst = nullptr;
};

std::vector<LayerLine> layer_lines(const TraceReport& report) {
  std::vector<LayerLine> lines;
  std::map<std::string, size_t> places;
  bool in_layers = false;
  for (const TapReport& tap : report.taps) {
    in_layers = in_layers || tap.layer >= 0;
    const bool inside =
        tap.layer < 0 && in_layers && !tap.tensor.starts_with("result_") && tap.tensor != "norm";
    // What has no number lies where it was computed.
    const std::string key = tap.layer >= 0 ? std::to_string(tap.layer)
                            : inside       ? lines.back().name
                            : in_layers    ? "end"
                                           : "start";
    const auto [place, is_new] = places.emplace(key, lines.size());
    if (is_new) lines.push_back({.name = key});
    LayerLine& line = lines[place->second];
    ++line.n_taps;
    line.n_diverged += tap.verdict == TapVerdict::diverged;
    const auto rank = [](const TapReport* t) {
      return t == nullptr                       ? -1.0
             : std::isnan(t->ratio.value_or(0)) ? INFINITY
                                                : t->ratio.value_or(0);
    };
    if (rank(&tap) > rank(line.worst)) line.worst = &tap;
  }
  return lines;
}

std::string layers_table(const TraceReport& report, const RenderOptions& options) {
  std::string out =
      paint(fmt::format("{:>6} {:>5}  {:<22} {:<14} {:>9} {:>9} {:>9} {:>9}", "layer", "taps",
                        "worst tensor", "op", "rel_l2", "own", "floor", "ratio"),
            kBold, options) +
      "\n";
  for (const LayerLine& line : layer_lines(report)) {
    if (line.worst == nullptr) continue;
    const TapReport& tap = *line.worst;
    std::string text = fmt::format("{:>6} {:>5}  {:<22} {:<14} {:>9} {:>9} {:>9} {:>9}", line.name,
                                   line.n_taps, name_of(tap), tap.op, figure(tap.rel_l2),
                                   figure(tap.own_error), figure(tap.floor), figure(tap.ratio));
    if (line.n_diverged > 0) text += fmt::format("  {} diverged", line.n_diverged);
    out += (line.n_diverged > 0 ? paint(text, kRed, options) : text) + "\n";
  }
  return out;
}

std::string neighbourhood(const TraceReport& report, const RenderOptions& options) {
  if (!report.first_divergence || report.first_divergence->in_engine) return "";
  const auto first = std::find_if(report.taps.begin(), report.taps.end(), [](const TapReport& t) {
    return t.verdict == TapVerdict::diverged;
  });
  if (first == report.taps.end()) return "";
  const auto index = first - report.taps.begin();
  const auto begin = std::max<std::ptrdiff_t>(index - 3, 0);
  const auto end = std::min<std::ptrdiff_t>(index + 4, std::ssize(report.taps));
  const std::string header =
      fmt::format("  {:<20} {:>3} {:<14} {:<26} {:>9} {:>9} {:>9} {:>9}", "tensor", "nr", "op",
                  "weight", "rel_l2", "own", "floor", "ratio");
  std::string out = fmt::format("\n{}\n", paint(header, kBold, options));
  for (auto i = begin; i < end; ++i) {
    const TapReport& tap = report.taps[static_cast<size_t>(i)];
    const std::string line =
        fmt::format("{} {:<20} {:>3} {:<14} {:<26} {:>9} {:>9} {:>9} {:>9}", i == index ? ">" : " ",
                    name_of(tap), tap.occurrence, tap.op, visible(tap.weight), figure(tap.rel_l2),
                    figure(tap.own_error), figure(tap.floor), figure(tap.ratio));
    out += (i == index ? paint(line, kRed, options) : line) + "\n";
  }
  return out;
}

std::string meaning(const TraceReport& report) {
  const Report& base = report.base;
  if (!base.tokens.match.value_or(true)) return meaning_text(base);
  if (!report.first_divergence && report.self) return self_meaning(report);
  if (report.first_divergence) {
    const TraceDivergence& d = *report.first_divergence;
    const auto& side = d.in_engine ? base.engine : base.backend;
    std::string out =
        fmt::format("diverged: in {}, {}", side ? visible(side->info.name) : "it", name_of(d.tap));
    if (d.tap.occurrence > 0) out += fmt::format(" (occurrence {})", d.tap.occurrence);
    out += fmt::format(", {}", d.tap.op);
    if (!d.tap.weight.empty()) out += fmt::format(" with {}", visible(d.tap.weight));
    if (d.tap.own_error) {
      out += fmt::format(
          ", is off by {:.2e} from what its own inputs call for; rounding explains "
          "{:.2e}",
          *d.tap.own_error, d.tap.floor.value_or(0));
    }
    out += fmt::format("; worst at position {}", d.position);
    if (d.column >= 0) out += fmt::format(", output {}", d.column);
    out += fmt::format("\n{} ({}): {}", cause_info(d.cause).kind, cause_info(d.cause).word,
                       visible(d.explanation));
    if (report.n_diverged > 1 && !d.in_engine) {
      out += fmt::format("\n{} of {} tensors diverge by themselves; the others only inherit",
                         report.n_diverged, report.n_taps);
    }
    return out;
  }
  std::string out = fmt::format("{}: {} of {} tensors recomputed from the backend's own inputs, ",
                                status_name(base.status), report.n_replayed, report.n_taps);
  out += report.n_replayed == 0 ? "so nothing was checked"
                                : fmt::format("each within its rounding (at most {:.2g} of it)",
                                              report.largest_clean_ratio);
  if (!report.structure_checked) {
    out +=
        "\nnote: this architecture's parameters are not known here: operations were checked, "
        "not whether they are the right ones";
  }
  return out;
}

}  // namespace

std::string trace_text(const TraceReport& report, const RenderOptions& options) {
  std::string out = sides_text(report.base) + mismatch_text(report.base, options);
  if (report.self) {
    out += fmt::format("\n{}", self_table(report, options));
  } else if (!report.taps.empty()) {
    out += fmt::format("\n{}", layers_table(report, options));
  }
  out += neighbourhood(report, options);
  if (!out.empty()) out += "\n";
  if (report.base.error) return out + error_text(*report.base.error, report.base.status, options);
  const std::string words = meaning(report);
  const size_t end = std::min(words.find('\n'), words.size());
  out += paint(words.substr(0, end), report.base.status == Status::agree ? kGreen : kRed, options) +
         words.substr(end) + "\n";
  for (const std::string& op : report.not_replayed) {
    out += fmt::format("not recomputed: {}\n", visible(op));
  }
  return out + log_text(report.base);
}

}  // namespace crossval
