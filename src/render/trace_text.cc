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

// For each tap, whether no layer follows it in its eval.
std::vector<bool> behind_the_layers(const std::vector<TapReport>& taps) {
  std::vector<bool> behind(taps.size());
  for (size_t i = taps.size(); i-- > 0;) {
    const bool last = i + 1 == taps.size() || taps[i + 1].first_position != taps[i].first_position;
    behind[i] = taps[i].layer < 0 && (last || behind[i + 1]);
  }
  return behind;
}

std::vector<LayerLine> layer_lines(const TraceReport& report) {
  std::vector<LayerLine> lines;
  std::map<std::string, size_t> places;
  const std::vector<bool> is_behind = behind_the_layers(report.taps);
  int layer = -1;  // of the eval at hand; -1 = none came yet
  for (size_t i = 0; i < report.taps.size(); ++i) {
    const TapReport& tap = report.taps[i];
    if (i == 0 || tap.first_position != report.taps[i - 1].first_position) layer = -1;
    if (tap.layer >= 0) layer = tap.layer;
    // What has no number lies where it was computed.
    const std::string key = layer < 0                       ? "start"
                            : tap.layer < 0 && is_behind[i] ? "end"
                                                            : std::to_string(layer);
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
  // Evals of one id come behind the prompt's end.
  std::stable_partition(lines.begin(), lines.end(),
                        [](const LayerLine& line) { return line.name != "end"; });
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
  out += painted_meaning(finding_text(finding_of(report), status_name(report.base.status)),
                         report.base.status == Status::agree, options);
  return out + log_text(report.base);
}

}  // namespace crossval
