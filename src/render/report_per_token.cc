// Section of crossval/per-token/1: the sentence, a chart over positions, the rows around the first
// divergence, all rows folded away.
#include <algorithm>
#include <vector>

#include "render/report_parts.h"
#include "render/report_sections.h"

namespace crossval {
namespace {

constexpr size_t kNear = 3;  // rows shown on each side of the first divergence

struct Row {
  int64_t index = 0;
  std::string phase, token, top1, verdict, non_finite;
  std::optional<double> cosine, rel_l2, kl, max_abs, noise, noise_ratio;
};

std::string top1_words(const ReceiptValue& top1) {
  const auto match = top1["match"].flag();
  if (!match) return "-";
  if (*match) return "same";
  const std::string ids = fmt::format("{} / {}", count_words(top1["engine"].integer()),
                                      count_words(top1["backend"].integer()));
  return top1["tie"].flag().value_or(false) ? "tie " + ids : ids;
}

Row read_row(const ReceiptValue& position) {
  Row row;
  row.index = position.require("index").integer().value_or(0);
  row.phase = position["phase"].text_or("");
  row.token = token_words(position["token"]);
  row.top1 = top1_words(position["top1"]);
  row.cosine = position["cosine"].number();
  row.rel_l2 = position["rel_l2"].number();
  if (!row.rel_l2) row.rel_l2 = position["top_distance"].number();
  row.kl = position["kl"].number();
  row.max_abs = position["max_abs"].number();
  row.noise = position["noise"].number();
  row.noise_ratio = position["noise_ratio"].number();
  row.verdict = position.require("verdict").text_or("");
  if (row.verdict != "ok" && row.verdict != "noise" && row.verdict != "diverged") {
    position["verdict"].refuse("expected ok, noise or diverged");
  }
  const ReceiptValue broken = position["non_finite"];
  const auto engine = broken["engine"].integer(), backend = broken["backend"].integer();
  if (engine.value_or(0) > 0 || backend.value_or(0) > 0) {
    row.non_finite = fmt::format("{} / {}", count_words(engine), count_words(backend));
  }
  return row;
}

std::vector<Row> read_rows(const ReceiptValue& receipt) {
  std::vector<Row> rows;
  for (const ReceiptValue& position : receipt["positions"].elements()) {
    rows.push_back(read_row(position));
  }
  // What contradicts itself must not be shown as agreement.
  const bool diverged = std::any_of(rows.begin(), rows.end(),
                                    [](const Row& row) { return row.verdict == "diverged"; });
  if (receipt["status"].text_or("") == "agree") {
    if (diverged) receipt["status"].refuse("it says agree, yet a position diverged");
    if (!receipt["tokens"]["match"].flag().value_or(false)) {
      receipt["status"].refuse("it says agree, yet the ids are not said to match");
    }
  }
  const auto n = receipt["summary"]["n_positions"].integer().value_or(0);
  if (n != static_cast<int64_t>(rows.size())) {
    receipt["summary"]["n_positions"].refuse(
        fmt::format("it says {}, the list has {}", n, rows.size()));
  }
  return rows;
}

void add_rows(const std::vector<Row>& rows, size_t begin, size_t end, Html& out) {
  out.add(
      "<table><tr><th>pos</th><th>phase</th><th>token</th><th>cosine</th><th>rel. L2</th>"
      "<th>KL</th><th>max. diff.</th><th>top-1</th><th>noise ratio</th><th>NaN/Inf</th>"
      "<th>verdict</th></tr>\n");
  for (size_t i = begin; i < end; ++i) {
    const Row& row = rows[i];
    const bool bad = row.verdict == "diverged";
    out.add("<tr class=\"{}\"><td>{}</td><td>{}</td><td><code>{}</code></td><td>{}</td><td>{}</td>",
            bad ? "bad" : row.verdict, row.index, row.phase, row.token,
            row.cosine ? fmt::format("{:.7f}", *row.cosine) : "-", figure(row.rel_l2));
    out.add("<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}{}</td></tr>\n",
            figure(row.kl), figure(row.max_abs), row.top1, figure(row.noise_ratio), row.non_finite,
            bad ? "✗ " : "", row.verdict);
  }
  out.add("</table>\n");
}

void add_chart(const std::vector<Row>& rows, Html& out) {
  const bool has_l2 =
      std::any_of(rows.begin(), rows.end(), [](const Row& row) { return row.rel_l2.has_value(); });
  LogChart chart;
  chart.x_name = "position";
  chart.title = has_l2 ? "Relative distance of the two rows of logits at each position"
                       : "1 - cosine of the two rows of logits at each position";
  ChartSeries distance{has_l2 ? "distance" : "1 - cosine", ChartStyle::main, {}};
  ChartSeries noise{"rounding noise of this model there", ChartStyle::limit, {}};
  std::vector<int64_t> indices;
  for (const Row& row : rows) {
    const auto off_cosine = row.cosine ? std::optional(1 - *row.cosine) : std::nullopt;
    distance.values.push_back(has_l2 ? row.rel_l2 : off_cosine);
    noise.values.push_back(has_l2 ? row.noise : std::nullopt);
    chart.labels.push_back(fmt::format("{} {}: {}, {}", row.index, row.token,
                                       figure(distance.values.back()), row.verdict));
    if (row.verdict == "diverged") chart.diverged.push_back(indices.size());
    indices.push_back(row.index);
  }
  chart.series = {distance, noise};
  chart.x_ticks = round_ticks(indices);
  add_log_chart(chart, out);
}

}  // namespace

ReportOutline outline_per_token(const ReceiptValue& receipt) {
  return {file_name(receipt["model"]["path"].text_or("unknown model")),
          engine_name(receipt["engine"]) + " / " + engine_name(receipt["backend"]),
          headline_of(receipt)};
}

void draw_per_token(const ReceiptValue& receipt, Html& out) {
  const std::vector<Row> rows = read_rows(receipt);
  add_verdict(receipt, out);
  add_sides(receipt, out);
  add_mismatch(receipt["tokens"], out);
  add_chart(rows, out);
  const auto first = std::find_if(rows.begin(), rows.end(),
                                  [](const Row& row) { return row.verdict == "diverged"; });
  if (first != rows.end()) {
    const auto at = static_cast<size_t>(first - rows.begin());
    out.add("<h3>Around the first divergence</h3>\n");
    add_rows(rows, at - std::min(at, kNear), std::min(at + kNear + 1, rows.size()), out);
  }
  if (!rows.empty()) {
    out.add("<details><summary>All {}</summary>\n",
            plural(static_cast<int64_t>(rows.size()), "position"));
    add_rows(rows, 0, rows.size(), out);
    out.add("</details>\n");
  }
  add_timing(receipt["timing_ms"], out);
  add_logs(receipt, out);
}

}  // namespace crossval
