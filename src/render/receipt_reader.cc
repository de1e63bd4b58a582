#include "render/receipt_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "render/field_list.h"
#include "render/report_sections.h"

namespace crossval {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 32;              // our own receipts need 7
constexpr size_t kMaxValues = 32'000'000;  // events of the parser: 400,000 positions
constexpr size_t kMaxBytes = size_t{512} << 20;

[[noreturn]] void refuse(const std::string& what, const std::string& where) {
  bad_input("bad_receipt", what, where,
            "give the JSON that --receipt or --format json wrote, unchanged");
}

Json parse(std::string_view text, const std::string& where, size_t& n_values) {
  const auto guard = [&](int depth, Json::parse_event_t, const Json&) {
    if (depth > kMaxDepth) {
      refuse(fmt::format("values are nested more than {} deep", kMaxDepth), where);
    }
    if (++n_values > kMaxValues) refuse("it holds too many values to be a receipt", where);
    return true;
  };
  try {
    return Json::parse(text, guard);
  } catch (const Json::exception& error) {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without the brackets.
    const std::string what = error.what();
    const size_t bracket = what.find("] ");
    refuse(
        "it is not JSON: " + printable(bracket == what.npos ? what : what.substr(bracket + 2), 200),
        where);
  } catch (const std::bad_alloc&) {
    refuse("there is not enough memory to read it", where);
  }
}

// Says what a receipt claims twice differently: such a file was edited, or is none of ours.
void check_status(const ReceiptValue& value, bool is_run) {
  const std::string status = value.require("status").text_or("");
  const auto code = value.require("exit_code").integer();
  for (const Status known : kStatuses) {
    const bool ok = is_run && known == Status::agree;
    if (status != (ok ? "ok" : status_name(known))) continue;
    if (code != static_cast<int>(known))
      value["exit_code"].refuse("it does not belong to status " + status);
    return;
  }
  value["status"].refuse(fmt::format("\"{}\" is no status", printable(status)));
}

// Every value that is there is of its field's kind; what is not listed is passed over.
void check_kind(const ReceiptValue& value, const std::string& path, FieldKind kind) {
  if (path.empty()) {
    switch (kind) {
      case FieldKind::text:
        value.text();
        return;
      case FieldKind::number:
        value.number();
        return;
      case FieldKind::integer:
        value.integer();
        return;
      case FieldKind::flag:
        value.flag();
        return;
      case FieldKind::object:
        value.members();
        return;
      case FieldKind::list:
        value.size();
        return;
      case FieldKind::any:
        return;
    }
  }
  const size_t dot = std::min(path.find('.'), path.size());
  std::string key = path.substr(0, dot);
  const std::string rest = dot < path.size() ? path.substr(dot + 1) : "";
  const bool each = key.ends_with("[]");
  if (each) key.resize(key.size() - 2);
  const ReceiptValue inner = value[key.c_str()];
  if (!each) {
    check_kind(inner, rest, kind);
  } else {
    for (const ReceiptValue& element : inner.elements()) check_kind(element, rest, kind);
  }
}

void check_kinds(const std::string& schema, const ReceiptValue& value) {
  for (const ListedSchema& one : listed_schemas()) {
    if (schema != one.name) continue;
    for (const ListedField& field : one.fields) check_kind(value, field.path, field.kind);
  }
  if (schema != "crossval/parity/1") return;
  for (const ReceiptValue& pair : value["pairs"].elements()) {
    check_kinds("crossval/per-token/1", pair);
  }
}

Receipt check(Json json, std::string where) {
  Receipt receipt{std::move(where), "", std::move(json)};
  const ReceiptValue value = receipt.value();
  const auto schema = value.require("schema").text();
  receipt.schema = schema.value_or("null");
  const ReportSection* section = find_section(receipt.schema);
  if (section == nullptr) {
    std::string known;
    for (const ReportSection& row : report_sections()) {
      known += (known.empty() ? "" : ", ") + std::string(row.schema);
    }
    bad_input("unknown_schema",
              fmt::format("schema \"{}\" is not known here", printable(receipt.schema)),
              receipt.where, "a report can hold: " + known);
  }
  check_status(value, receipt.schema == "crossval/run/1");
  check_kinds(receipt.schema, value);
  for (const char* key : section->required) value.require(key);
  return receipt;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == text.npos; }

}  // namespace

std::vector<Receipt> parse_receipts(std::string_view content, const std::string& name) {
  if (is_blank(content)) refuse("the file is empty", name);
  size_t n_values = 0;
  // One object a line: then the first line is whole by itself.
  const size_t first_end = content.find('\n');
  const std::string_view first = content.substr(0, first_end);
  const bool by_line = first_end != content.npos && !is_blank(content.substr(first_end)) &&
                       first.size() > 2 && Json::accept(first);
  std::vector<Receipt> receipts;
  if (!by_line) {
    receipts.push_back(check(parse(content, name, n_values), name));
    return receipts;
  }
  for (size_t number = 1; !content.empty(); ++number) {
    const size_t end = std::min(content.find('\n'), content.size());
    const std::string_view line = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (is_blank(line)) continue;
    const std::string where = fmt::format("{}, line {}", name, number);
    receipts.push_back(check(parse(line, where, n_values), where));
  }
  return receipts;
}

std::vector<Receipt> read_receipts(const std::string& path) {
  const MappedFile file(path, "receipt");
  if (file.bytes().size() > kMaxBytes) {
    refuse(fmt::format("{} bytes are too many for a receipt", file.bytes().size()), path);
  }
  return parse_receipts({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()},
                        path);
}

}  // namespace crossval
