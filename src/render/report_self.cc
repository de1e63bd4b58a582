// The settings of `trace --self` on the page: a row each, those that diverged marked.
#include "render/report_parts.h"
#include "render/report_sections.h"

namespace crossval {

void add_settings(const ReceiptValue& rows, Html& out) {
  if (rows.is_null()) return;
  out.add(
      "<h3>The engine against itself</h3>\n<table><tr><th>setting</th><th>changed</th>"
      "<th>expected</th><th>bits</th><th>logits apart</th><th>lowest cosine</th>"
      "<th>other top-1</th><th>first tensor</th><th>verdict</th></tr>\n");
  for (const ReceiptValue& row : rows.elements()) {
    const std::string verdict = row.require("verdict").text_or("");
    const bool bad = verdict == "diverged";
    const auto equal = row["bit_equal"].flag();
    const std::string note = row["note"].text_or("");
    out.add("<tr class=\"{}\"><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
            bad ? "bad" : verdict, row.require("setting").text_or(""), row["changed"].text_or(""),
            row["expected"].text_or(""),
            !equal   ? "-"
            : *equal ? "same"
                     : "other",
            figure(row["rel_l2"].number()));
    out.add("<td>{}</td><td>{}</td><td><code>{} {}</code></td><td>{}{}{}</td></tr>\n",
            figure(row["min_cosine"].number()), count_words(row["top1_changes"].integer()),
            row["first_tensor"].text_or(""), row["op"].text_or(""), bad ? "✗ " : "", verdict,
            note.empty() ? "" : ": " + note);
  }
  out.add("</table>\n");
}

}  // namespace crossval
