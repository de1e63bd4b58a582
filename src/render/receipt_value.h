// A value of a receipt that knows where it stands in the file: read with its kind checked, refused
// with the name of the key. Receipts are untrusted; null and absent both mean unknown.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace crossval {

class ReceiptValue {
 public:
  using Json = nlohmann::ordered_json;

  // `json` and `file` (for messages) must outlive the value.
  ReceiptValue(const Json& json, const std::string& file, std::string path = "")
      : json_(&json), file_(&file), path_(std::move(path)) {}

  bool is_null() const { return json_->is_null(); }

  // All of these throw bad_input ("bad_receipt") for a value of another kind.
  ReceiptValue operator[](const char* key) const;
  ReceiptValue require(const char* key) const;  // null is fine, absent is not
  std::optional<std::string> text() const;
  std::optional<double> number() const;
  std::optional<int64_t> integer() const;
  std::optional<bool> flag() const;
  std::vector<ReceiptValue> elements() const;
  std::vector<std::pair<std::string, ReceiptValue>> members() const;
  size_t size() const;  // of a list

  std::string text_or(const std::string& otherwise) const { return text().value_or(otherwise); }
  std::string scalar_words() const;  // a text, number or flag, for people; "" = null

  [[noreturn]] void refuse(const std::string& what) const;

 private:
  void expect(bool is_kind, const char* kind) const;

  const Json* json_;
  const std::string* file_;
  std::string path_;
};

}  // namespace crossval
