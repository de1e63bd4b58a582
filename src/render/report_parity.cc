// Section of crossval/parity/1: the vote, who agrees with whom, each pair as a comparison.
#include <algorithm>
#include <vector>

#include "render/report_parts.h"
#include "render/report_sections.h"

namespace crossval {
namespace {

struct Pairs {
  std::vector<std::string> participants;
  std::vector<ReceiptValue> pairs;  // (0,1), (0,2), ..., (1,2), ... when complete
  bool complete = false;

  explicit Pairs(const ReceiptValue& receipt) : pairs(receipt["pairs"].elements()) {
    for (const ReceiptValue& name : receipt["participants"].elements()) {
      participants.push_back(name.text_or("?"));
    }
    const size_t n = participants.size();
    complete = n > 1 && pairs.size() == n * (n - 1) / 2;
    if (receipt["status"].text_or("") != "agree") return;
    if (pairs.empty()) receipt["status"].refuse("it says agree, yet nothing was compared");
    for (const ReceiptValue& pair : pairs) {
      if (pair["status"].text_or("") != "agree") {
        pair["status"].refuse("it is not agree, as the whole receipt's is");
      }
    }
  }

  const ReceiptValue& of(size_t a, size_t b) const {
    if (a > b) std::swap(a, b);
    const size_t n = participants.size();
    return pairs.at(a * (2 * n - a - 1) / 2 + b - a - 1);
  }

  std::vector<std::string> titles() const {
    std::vector<std::string> out;
    for (size_t a = 0; complete && a < participants.size(); ++a) {
      for (size_t b = a + 1; b < participants.size(); ++b) {
        out.push_back(participants[a] + " against " + participants[b]);
      }
    }
    for (size_t i = out.size(); i < pairs.size(); ++i) {
      out.push_back(engine_name(pairs[i]["engine"]) + " against " +
                    engine_name(pairs[i]["backend"]));
    }
    return out;
  }
};

void add_matrix(const Pairs& pairs, Html& out) {
  if (!pairs.complete) return;
  out.add("<h3>Who agrees with whom (status, lowest cosine)</h3>\n<table><tr><th></th>");
  for (const std::string& name : pairs.participants) out.add("<th>{}</th>", name);
  out.add("</tr>\n");
  for (size_t row = 0; row < pairs.participants.size(); ++row) {
    out.add("<tr><th>{}</th>", pairs.participants[row]);
    for (size_t column = 0; column < pairs.participants.size(); ++column) {
      if (row == column) {
        out.add("<td></td>");
        continue;
      }
      const ReceiptValue& pair = pairs.of(row, column);
      out.add("<td>");
      add_badge(pair["status"].text_or(""), out);
      const auto cosine = pair["summary"]["min_cosine"].number();
      out.add(" {}</td>", cosine ? fmt::format("{:.6f}", *cosine) : "");
    }
    out.add("</tr>\n");
  }
  out.add("</table>\n");
}

}  // namespace

ReportOutline outline_parity(const ReceiptValue& receipt) {
  const Pairs pairs(receipt);
  ReportOutline out{"unknown model", "", headline_of(receipt)};
  for (const ReceiptValue& pair : pairs.pairs) {
    out.model = outline_per_token(pair).model;
    break;
  }
  for (const std::string& name : pairs.participants) {
    out.sides += (out.sides.empty() ? "" : " / ") + name;
  }
  return out;
}

void draw_parity(const ReceiptValue& receipt, Html& out) {
  const Pairs pairs(receipt);
  add_verdict(receipt, out);
  add_matrix(pairs, out);
  const std::vector<std::string> titles = pairs.titles();
  for (size_t i = 0; i < pairs.pairs.size(); ++i) {
    out.add("<details class=\"pair\"><summary>{} ", titles[i]);
    add_badge(pairs.pairs[i]["status"].text_or("unknown"), out);
    out.add("</summary>\n");
    draw_per_token(pairs.pairs[i], out);
    out.add("</details>\n");
  }
}

}  // namespace crossval
