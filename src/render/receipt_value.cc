#include "render/receipt_value.h"

#include <fmt/format.h>

#include <limits>

#include "base/error.h"
#include "base/printable.h"

namespace crossval {
namespace {

const ReceiptValue::Json kNull;

}  // namespace

void ReceiptValue::refuse(const std::string& what) const {
  bad_input("bad_receipt", path_.empty() ? what : fmt::format("{}: {}", printable(path_), what),
            *file_, "give the JSON that --receipt or --format json wrote, unchanged");
}

void ReceiptValue::expect(bool is_kind, const char* kind) const {
  if (is_kind) return;
  refuse(fmt::format("expected {}, found {}", kind,
                     json_->is_number() ? "another number" : json_->type_name()));
}

ReceiptValue ReceiptValue::operator[](const char* key) const {
  expect(json_->is_object() || is_null(), "an object");
  std::string path = path_.empty() ? key : path_ + "." + key;
  if (is_null()) return {kNull, *file_, std::move(path)};
  const auto found = json_->find(key);
  return {found == json_->end() ? kNull : *found, *file_, std::move(path)};
}

ReceiptValue ReceiptValue::require(const char* key) const {
  expect(json_->is_object(), "an object");
  if (!json_->contains(key)) refuse(fmt::format("the key \"{}\" is missing", key));
  return (*this)[key];
}

std::optional<std::string> ReceiptValue::text() const {
  if (is_null()) return std::nullopt;
  expect(json_->is_string(), "text");
  return json_->get_ref<const std::string&>();
}

std::optional<double> ReceiptValue::number() const {
  if (is_null()) return std::nullopt;
  expect(json_->is_number(), "a number");
  return json_->get<double>();
}

std::optional<int64_t> ReceiptValue::integer() const {
  if (is_null()) return std::nullopt;
  constexpr auto most = static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
  const bool fits =
      json_->is_number_unsigned() ? json_->get<uint64_t>() <= most : json_->is_number_integer();
  expect(fits, "a whole number");
  return json_->get<int64_t>();
}

std::optional<bool> ReceiptValue::flag() const {
  if (is_null()) return std::nullopt;
  expect(json_->is_boolean(), "true or false");
  return json_->get<bool>();
}

size_t ReceiptValue::size() const {
  if (is_null()) return 0;
  expect(json_->is_array(), "a list");
  return json_->size();
}

std::vector<ReceiptValue> ReceiptValue::elements() const {
  std::vector<ReceiptValue> out;
  out.reserve(size());
  for (size_t i = 0; i < size(); ++i) {
    out.emplace_back((*json_)[i], *file_, fmt::format("{}[{}]", path_, i));
  }
  return out;
}

std::vector<std::pair<std::string, ReceiptValue>> ReceiptValue::members() const {
  std::vector<std::pair<std::string, ReceiptValue>> out;
  if (is_null()) return out;
  expect(json_->is_object(), "an object");
  for (const auto& [key, value] : json_->items()) {
    out.emplace_back(key, ReceiptValue(value, *file_, path_ + "." + key));
  }
  return out;
}

std::string ReceiptValue::scalar_words() const {
  if (is_null()) return "";
  if (json_->is_string()) return *text();
  expect(!json_->is_structured(), "text, a number or a flag");
  return json_->dump();
}

}  // namespace crossval
