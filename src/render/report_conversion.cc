// Section of crossval/conversion/1: what was compared, and what the file has otherwise than its
// checkpoint.
#include <utility>
#include <vector>

#include "render/report_parts.h"
#include "render/report_sections.h"

namespace crossval {
namespace {

void add_counts(const ReceiptValue& receipt, Html& out) {
  out.add("<table><tr><th></th><th>compared</th><th>differ</th></tr>\n");
  for (const auto& [key, what] : {std::pair{"keys", "keys"},
                                  {"tensors", "tensors"},
                                  {"tokens", "tokens"},
                                  {"merges", "merges"},
                                  {"specials", "special tokens"},
                                  {"templates", "chat templates"}}) {
    const ReceiptValue count = receipt[key];
    out.add("<tr><td>{}</td><td>{}</td><td>{}</td></tr>\n", what,
            count_words(count["compared"].integer()), count_words(count["differing"].integer()));
  }
  out.add("</table>\n");
}

void add_faults(const std::vector<ReceiptValue>& faults, Html& out) {
  if (faults.empty()) return;
  out.add(
      "<table><tr><th>what</th><th>where</th><th>cause</th><th>checkpoint</th><th>expected</th>"
      "<th>in the file</th><th></th></tr>\n");
  for (const ReceiptValue& fault : faults) {
    out.add(
        "<tr><td>{}</td><td><code>{}</code></td><td>{}</td><td><code>{}</code></td><td>{}</td>"
        "<td>{}</td><td>{}</td></tr>\n",
        fault.require("kind").text_or(""), fault.require("where").text_or(""),
        fault["cause"].text_or("-"), fault["source"].text_or(""), fault["expected"].text_or(""),
        fault["actual"].text_or(""), fault["explanation"].text_or(""));
  }
  out.add("</table>\n");
}

void add_lines(const char* title, const std::vector<ReceiptValue>& lines, Html& out) {
  if (lines.empty()) return;
  out.add("<details><summary>{}</summary>\n<ul>\n", title);
  for (const ReceiptValue& line : lines) out.add("<li>{}</li>\n", line.text_or(""));
  out.add("</ul></details>\n");
}

}  // namespace

ReportOutline outline_conversion(const ReceiptValue& receipt) {
  return {file_name(receipt["model"]["path"].text_or("unknown model")),
          file_name(receipt["checkpoint"]["path"].text_or("unknown checkpoint")),
          headline_of(receipt)};
}

void draw_conversion(const ReceiptValue& receipt, Html& out) {
  add_verdict(receipt, out);
  add_counts(receipt, out);
  add_faults(receipt["faults"].elements(), out);
  add_lines("Not compared", receipt["not_compared"].elements(), out);
  add_lines("Notes", receipt["notes"].elements(), out);
}

}  // namespace crossval
