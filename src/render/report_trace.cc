// Section of crossval/trace/1, of `trace` and of `trace-diff`: the first tensor that rounding
// cannot explain, own errors along the graph, the worst tensor of each layer, all tensors folded
// away.
#include <algorithm>
#include <limits>
#include <map>
#include <vector>

#include "render/report_parts.h"
#include "render/report_sections.h"

namespace crossval {
namespace {

constexpr size_t kNear = 3;

struct Tap {
  std::string tensor, op, weight, verdict, note;
  int64_t occurrence = 0;
  std::optional<int64_t> layer;
  std::optional<double> rel_l2, own_error, floor, ratio;

  bool diverged() const { return verdict == "diverged"; }
  // Which of a layer's is worst; what diverged without a number (NaN) is.
  double rank(bool replayed) const {
    const auto& measure = replayed ? ratio : rel_l2;
    return diverged() && !measure ? std::numeric_limits<double>::infinity() : measure.value_or(0);
  }
};

Tap read_tap(const ReceiptValue& value) {
  Tap tap;
  tap.tensor = value.require("tensor").text_or("");
  if (tap.tensor.empty()) tap.tensor = "(unnamed)";
  tap.op = value["op"].text_or("");
  tap.weight = value["weight"].text_or("");
  tap.note = value["note"].text_or("");
  tap.verdict = value.require("verdict").text_or("");
  if (tap.verdict != "ok" && tap.verdict != "diverged" && tap.verdict != "not_replayed") {
    value["verdict"].refuse("expected ok, diverged or not_replayed");
  }
  tap.occurrence = value["occurrence"].integer().value_or(0);
  tap.layer = value["layer"].integer();
  tap.rel_l2 = value["rel_l2"].number();
  tap.own_error = value["own_error"].number();
  tap.floor = value["floor"].number();
  tap.ratio = value["ratio"].number();
  return tap;
}

std::vector<Tap> read_taps(const ReceiptValue& receipt) {
  std::vector<Tap> taps;
  for (const ReceiptValue& value : receipt["taps"].elements()) taps.push_back(read_tap(value));
  const bool diverged =
      std::any_of(taps.begin(), taps.end(), [](const Tap& tap) { return tap.diverged(); });
  if (receipt["status"].text_or("") == "agree" &&
      (diverged || !receipt["first_divergence"].is_null())) {
    receipt["status"].refuse("it says agree, yet a tensor diverged");
  }
  return taps;
}

// trace-diff has two saved runs and recomputes nothing.
bool any_replayed(const std::vector<Tap>& taps) {
  return std::any_of(taps.begin(), taps.end(),
                     [](const Tap& tap) { return tap.own_error.has_value(); });
}

void add_taps(const std::vector<Tap>& taps, size_t begin, size_t end, Html& out) {
  out.add(
      "<table><tr><th>tensor</th><th>nr</th><th>operation</th><th>layer</th><th>weight</th>"
      "<th>runs apart</th><th>own error</th><th>floor</th><th>ratio</th><th>verdict</th></tr>\n");
  for (size_t i = begin; i < end; ++i) {
    const Tap& tap = taps[i];
    out.add(
        "<tr class=\"{}\"><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td>"
        "<td><code>{}</code></td>",
        tap.diverged() ? "bad" : tap.verdict, tap.tensor, tap.occurrence, tap.op,
        count_words(tap.layer), tap.weight);
    out.add("<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}{}{}</td></tr>\n",
            figure(tap.rel_l2), figure(tap.own_error), figure(tap.floor), figure(tap.ratio),
            tap.diverged() ? "✗ " : "", tap.verdict, tap.note.empty() ? "" : ": " + tap.note);
  }
  out.add("</table>\n");
}

void add_chart(const std::vector<Tap>& taps, Html& out) {
  LogChart chart;
  chart.title = "Each tensor's own error, recomputed from the backend's inputs, along the graph";
  chart.x_name = "layer";
  ChartSeries own{"own error", ChartStyle::main, {}};
  ChartSeries floor{"what rounding explains (floor)", ChartStyle::limit, {}};
  ChartSeries apart{"distance of the two whole runs", ChartStyle::faint, {}};
  std::vector<ChartTick> layers;
  for (size_t i = 0; i < taps.size(); ++i) {
    const Tap& tap = taps[i];
    own.values.push_back(tap.own_error);
    floor.values.push_back(tap.floor);
    apart.values.push_back(tap.rel_l2);
    chart.labels.push_back(fmt::format("{} {}: own error {}, floor {}, {}", tap.tensor, tap.op,
                                       figure(tap.own_error), figure(tap.floor), tap.verdict));
    if (tap.diverged()) chart.diverged.push_back(i);
    const std::string label = count_words(tap.layer);
    if (tap.layer && (layers.empty() || layers.back().label != label)) layers.push_back({i, label});
  }
  const size_t step = layers.size() / 16 + 1;
  for (size_t i = 0; i < layers.size(); i += step) chart.x_ticks.push_back(layers[i]);
  chart.series = {own, floor, apart};
  if (!any_replayed(taps)) {
    chart.title = "Distance of the two runs at each tensor, along the graph";
    apart.style = ChartStyle::main;
    chart.series = {apart};
  }
  add_log_chart(chart, out);
}

void add_layers(const std::vector<Tap>& taps, Html& out) {
  struct Line {
    std::string name;
    size_t n_taps = 0, n_diverged = 0, worst = 0;
  };
  std::vector<Line> lines;
  std::map<std::string, size_t> places;
  const bool replayed = any_replayed(taps);
  for (size_t i = 0; i < taps.size(); ++i) {
    const std::string name = taps[i].layer ? count_words(taps[i].layer) : "outside";
    const auto [place, is_new] = places.emplace(name, lines.size());
    if (is_new) lines.push_back({name, 0, 0, i});
    Line& line = lines[place->second];
    ++line.n_taps;
    line.n_diverged += taps[i].diverged();
    if (taps[i].rank(replayed) > taps[line.worst].rank(replayed)) line.worst = i;
  }
  out.add(
      "<h3>Worst tensor of each layer</h3>\n<table><tr><th>layer</th><th>tensors</th>"
      "<th>diverged</th><th>worst</th><th>operation</th><th>runs apart</th><th>own error</th>"
      "<th>floor</th><th>ratio</th></tr>\n");
  for (const Line& line : lines) {
    const Tap& tap = taps[line.worst];
    out.add("<tr class=\"{}\"><td>{}</td><td>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td>",
            line.n_diverged > 0 ? "bad" : "ok", line.name, line.n_taps,
            line.n_diverged > 0 ? fmt::format("✗ {}", line.n_diverged) : "0", tap.tensor, tap.op);
    out.add("<td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", figure(tap.rel_l2),
            figure(tap.own_error), figure(tap.floor), figure(tap.ratio));
  }
  out.add("</table>\n");
}

}  // namespace

ReportOutline outline_trace(const ReceiptValue& receipt) { return outline_per_token(receipt); }

void draw_trace(const ReceiptValue& receipt, Html& out) {
  const std::vector<Tap> taps = read_taps(receipt);
  add_verdict(receipt, out);
  add_sides(receipt, out);
  add_mismatch(receipt["tokens"], out);
  add_settings(receipt["self"], out);
  add_chart(taps, out);
  const auto first =
      std::find_if(taps.begin(), taps.end(), [](const Tap& tap) { return tap.diverged(); });
  if (first != taps.end()) {
    const auto at = static_cast<size_t>(first - taps.begin());
    out.add("<h3>Around the first divergence</h3>\n");
    add_taps(taps, at - std::min(at, kNear), std::min(at + kNear + 1, taps.size()), out);
  }
  if (!taps.empty()) {
    add_layers(taps, out);
    out.add("<details><summary>All {}</summary>\n",
            plural(static_cast<int64_t>(taps.size()), "tensor"));
    add_taps(taps, 0, taps.size(), out);
    out.add("</details>\n");
  }
  add_timing(receipt["timing_ms"], out);
  add_logs(receipt, out);
}

}  // namespace crossval
