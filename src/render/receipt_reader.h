// Reads receipts back: a file holds one JSON object, or one a line (--prompts). Untrusted: what is
// cut, nested too deep, of an unknown schema or contradicts itself is one Error that names the
// file.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "render/receipt_value.h"

namespace crossval {

struct Receipt {
  std::string where;  // the file, and the line when it holds several
  std::string schema;
  nlohmann::ordered_json json;

  ReceiptValue value() const { return {json, where}; }
};

// Throws bad_input.
std::vector<Receipt> read_receipts(const std::string& path);

// The same for the content of a file. `name` is for messages.
std::vector<Receipt> parse_receipts(std::string_view content, const std::string& name);

}  // namespace crossval
