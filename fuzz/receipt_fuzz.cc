// Any bytes as a receipt: drawn as a page, or refused.
#include "render/json.h"
#include "render/receipt_reader.h"
#include "render/report_page.h"
#include "render/sample_report.h"
#include "support/damage_json.h"
#include "target.h"

namespace crossval::fuzz {

Seed good_input() {
  return {.bytes = json_result(Result(sample_report()), {.one_line = true}),
          .damage = testing::damaged_json_lines};
}

}  // namespace crossval::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace crossval;
  const fuzz::MemoryFile file({data, size});
  fuzz::read_or_refuse([&] { report_page(read_receipts(file.path())); });
  return 0;
}
