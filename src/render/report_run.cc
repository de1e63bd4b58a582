// Section of crossval/run/1: one engine's ids, rates, and the top tokens of each position.
#include <vector>

#include "render/report_parts.h"
#include "render/report_sections.h"

namespace crossval {
ReportOutline outline_run(const ReceiptValue& receipt) {
  return {file_name(receipt["model"]["path"].text_or("unknown model")),
          engine_name(receipt["engine"]), headline_of(receipt)};
}

void draw_run(const ReceiptValue& receipt, Html& out) {
  add_verdict(receipt, out);
  add_sides(receipt, out);
  const auto positions = receipt["positions"].elements();
  if (!positions.empty()) {
    out.add(
        "<details><summary>Most likely next tokens (logit) at {}</summary>\n<table><tr>"
        "<th>pos</th><th>phase</th><th>token</th><th>most likely next</th></tr>\n",
        plural(static_cast<int64_t>(positions.size()), "position"));
    for (const ReceiptValue& position : positions) {
      out.add("<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td>",
              count_words(position.require("index").integer()), position["phase"].text_or(""),
              token_words(position["token"]));
      for (const ReceiptValue& entry : position["top"].elements()) {
        out.add("<code>{}</code> {}; ", token_words(entry), figure(entry["logit"].number()));
      }
      out.add("</td></tr>\n");
    }
    out.add("</table></details>\n");
  }
  add_timing(receipt["timing_ms"], out);
  add_logs(receipt, out);
}

}  // namespace crossval
