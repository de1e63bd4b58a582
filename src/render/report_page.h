// One self-contained HTML page of receipts: no script, no outside resource, light or dark as the
// reader prefers. The same receipts give the same bytes.
#pragma once

#include <string>
#include <vector>

#include "render/receipt_reader.h"

namespace crossval {

// Throws bad_input when a receipt holds a value of the wrong kind or contradicts itself.
std::string report_page(const std::vector<Receipt>& receipts);

// "3 receipts: 2 agree, 1 diverged"
std::string receipts_words(const std::vector<Receipt>& receipts);

}  // namespace crossval
