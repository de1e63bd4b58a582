#include "render/report_page.h"

#include <map>

#include "render/html.h"
#include "render/report_parts.h"
#include "render/report_sections.h"

namespace crossval {
namespace {

const std::vector<ReportSection>& table() {
  static const std::vector<ReportSection> rows = {
      {"crossval/per-token/1",
       "Comparison",
       {"model", "prompt", "engine", "backend", "tokens", "positions", "summary", "tolerance",
        "timing_ms", "error"},
       draw_per_token,
       outline_per_token},
      {"crossval/parity/1", "Several engines", {"pairs", "vote"}, draw_parity, outline_parity},
      {"crossval/trace/1",
       "Trace",
       {"engine", "backend", "n_taps", "first_divergence", "taps", "error"},
       draw_trace,
       outline_trace},
      {"crossval/run/1",
       "Run",
       {"model", "prompt", "engine", "tokens", "positions", "timing_ms", "error"},
       draw_run,
       outline_run},
      {"crossval/conversion/1",
       "Conversion",
       {"model", "checkpoint", "keys", "tensors", "faults", "error"},
       draw_conversion,
       outline_conversion},
  };
  return rows;
}

// No resource can be loaded and no script run, whatever a receipt holds.
constexpr const char kHead[] =
    R"html(<!DOCTYPE html>
<html lang="en" xmlns="http://www.w3.org/1999/xhtml">
<head>
<meta charset="utf-8"/>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>crossval report</title>
<style>
:root {{ color-scheme: light dark; --ink: #1c1c1e; --dim: #5c5f66; --line: #d5d7db; --back: #ffffff;
  --panel: #f4f5f7; --good: #11703c; --bad: #b3261e; --failed: #8a5a00; --main: #1f5fbf;
  --limit: #8a5a00; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ink: #e8e8ea; --dim: #a0a4ab; --line: #3a3d42; --back: #17181a; --panel: #212327;
    --good: #5fd392; --bad: #ff8a80; --failed: #f0b95a; --main: #8ab8ff; --limit: #f0b95a; }} }}
body {{ font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back);
  max-width: 62rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.2rem; margin-top: 0; }} h3 {{ font-size: 1rem; }}
section {{ border-top: 2px solid var(--line); padding-top: 1.2rem; margin-top: 2rem; }}
a {{ color: var(--main); }}
.verdict {{ font-size: 1.05rem; font-weight: 600; }}
.badge {{ display: inline-block; border: 1px solid; border-radius: 4px; padding: 0 .45em;
  font-weight: 700; white-space: nowrap; }}
.good {{ color: var(--good); }} .badge.bad {{ color: var(--bad); }} .failed {{ color: var(--failed); }}
dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: .6rem 0; }}
dt {{ color: var(--dim); }} dd {{ margin: 0; }}
dl.error {{ border-left: 4px solid var(--failed); padding-left: .8rem; }}
details {{ margin: .5rem 0; }} summary {{ cursor: pointer; color: var(--dim); }}
details.pair {{ border: 1px solid var(--line); border-radius: 6px; padding: .5rem .8rem; }}
pre {{ background: var(--panel); padding: .6rem; white-space: pre-wrap; max-height: 24rem;
  overflow: auto; }}
code, td, pre {{ font-family: ui-monospace, monospace; font-size: .85rem; }}
code {{ white-space: pre-wrap; }}
table {{ border-collapse: collapse; display: block; overflow-x: auto; overflow-wrap: normal; }}
th, td {{ text-align: left; padding: .15rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }}
th {{ font-size: .85rem; color: var(--dim); }}
tr.bad td {{ color: var(--bad); font-weight: 600; }}
tr.noise td:last-child {{ color: var(--failed); }}
figure {{ margin: 1rem 0; }} figcaption {{ color: var(--dim); font-size: .9rem; }}
svg.chart {{ width: 100%; height: auto; background: var(--panel); border-radius: 6px; }}
svg text {{ fill: var(--dim); font-size: 11px; }} svg path {{ fill: none; stroke-linecap: round; }}
svg .grid {{ stroke: var(--line); }} svg .main {{ stroke: var(--main); stroke-width: 1.5; }}
svg .limit {{ stroke: var(--limit); stroke-width: 1.5; stroke-dasharray: 5 4; }}
svg .faint {{ stroke: var(--dim); stroke-width: .8; }}
svg .diverged {{ stroke: var(--bad); stroke-width: 2.2; }} svg circle {{ fill: var(--main); }}
.legend span {{ margin-right: 1.2rem; }} .legend {{ margin: .2rem 0; font-size: .85rem; }}
@media print {{ body {{ max-width: none; }} }}
</style>
</head>
<body>
<h1>crossval report</h1>
)html";

void add_overview(const std::vector<Receipt>& receipts, Html& out) {
  out.add("<p>{}</p>\n", receipts_words(receipts));
  if (receipts.size() < 2) return;
  out.add(
      "<table><tr><th></th><th>status</th><th>model</th><th>engines</th><th>finding</th>"
      "<th>receipt</th></tr>\n");
  for (size_t i = 0; i < receipts.size(); ++i) {
    const ReceiptValue value = receipts[i].value();
    const ReportOutline outline = find_section(receipts[i].schema)->outline(value);
    out.add("<tr><td><a href=\"#r{}\">{}</a></td><td>", i + 1, i + 1);
    add_badge(value["status"].text_or(""), out);
    out.add("</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>\n", outline.model,
            outline.sides, outline.finding, receipts[i].where);
  }
  out.add("</table>\n");
}

}  // namespace

std::span<const ReportSection> report_sections() { return table(); }

const ReportSection* find_section(const std::string& schema) {
  for (const ReportSection& row : table()) {
    if (schema == row.schema) return &row;
  }
  return nullptr;
}

std::string receipts_words(const std::vector<Receipt>& receipts) {
  std::map<std::string, int> counts;
  for (const Receipt& receipt : receipts) ++counts[receipt.value()["status"].text_or("")];
  std::string out = plural(static_cast<int64_t>(receipts.size()), "receipt");
  const char* separator = ": ";
  for (const auto& [status, n] : counts) {
    out += fmt::format("{}{} {}", separator, n, status);
    separator = ", ";
  }
  return out;
}

std::string report_page(const std::vector<Receipt>& receipts) {
  Html out;
  out.add(kHead);
  add_overview(receipts, out);
  for (size_t i = 0; i < receipts.size(); ++i) {
    const ReportSection& section = *find_section(receipts[i].schema);
    out.add("<section id=\"r{}\">\n<h2>{}. {}: {}</h2>\n", i + 1, i + 1, section.title,
            receipts[i].where);
    section.draw(receipts[i].value(), out);
    out.add("</section>\n");
  }
  out.add("</body>\n</html>\n");
  return out.str();
}

}  // namespace crossval
