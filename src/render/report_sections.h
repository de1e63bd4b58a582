// The table of receipts that a report can hold, by schema: how each is drawn and what the overview
// says of it. Everything that is shown is checked on the way (ReceiptValue).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "render/html.h"
#include "render/receipt_value.h"

namespace crossval {

// What the overview says in a row.
struct ReportOutline {
  std::string model, sides;
  std::string finding;  // one sentence
};

struct ReportSection {
  const char* schema;
  const char* title;
  std::vector<const char*> required;  // keys that the schema promises, beside status and exit_code
  void (*draw)(const ReceiptValue&, Html&);
  ReportOutline (*outline)(const ReceiptValue&);
};

std::span<const ReportSection> report_sections();
const ReportSection* find_section(const std::string& schema);  // null = unknown

void draw_per_token(const ReceiptValue& receipt, Html& out);
ReportOutline outline_per_token(const ReceiptValue& receipt);
void draw_parity(const ReceiptValue& receipt, Html& out);
ReportOutline outline_parity(const ReceiptValue& receipt);
void draw_trace(const ReceiptValue& receipt, Html& out);
ReportOutline outline_trace(const ReceiptValue& receipt);
// The rows of `self`, null for none.
void add_settings(const ReceiptValue& rows, Html& out);
void draw_run(const ReceiptValue& receipt, Html& out);
ReportOutline outline_run(const ReceiptValue& receipt);
void draw_conversion(const ReceiptValue& receipt, Html& out);
ReportOutline outline_conversion(const ReceiptValue& receipt);

}  // namespace crossval
