#include "native/support.h"

#include <fmt/format.h>

#include "native/archs.h"
#include "quant/formats.h"

namespace crossval {
namespace {

bool present_and_set(const ModelFile& model, const std::string& key) {
  const MetaValue* value = model.find(key);
  if (value == nullptr) return false;
  if (const auto* number = std::get_if<uint64_t>(&value->value)) return *number != 0;
  if (const auto* number = std::get_if<int64_t>(&value->value)) return *number != 0;
  if (const auto* number = std::get_if<double>(&value->value)) return *number != 0;
  if (const auto* flag = std::get_if<bool>(&value->value)) return *flag;
  return true;
}

}  // namespace

std::optional<std::string> native_unsupported_reason(const ModelFile& model) {
  const std::string name = model.architecture();
  const Arch* arch = find_arch(name);
  if (arch == nullptr) {
    std::string known;
    for (const Arch& row : all_archs())
      known += (known.empty() ? "" : ", ") + std::string(row.name);
    return fmt::format("architecture '{}' is not one native knows ({})", name, known);
  }
  for (std::string_view key : arch->unsupported_keys) {
    const std::string full = fmt::format("{}.{}", name, key);
    if (present_and_set(model, full)) {
      return fmt::format("'{}' is set and native does not implement it", full);
    }
  }
  for (const TensorView& tensor : model.tensors()) {
    if (find_format(tensor.type) == nullptr) {
      const TypeInfo* type = find_type(static_cast<uint32_t>(tensor.type));
      return fmt::format("tensor '{}' has type {}, which native cannot read", tensor.name,
                         type ? type->name : "unknown");
    }
  }
  return std::nullopt;
}

}  // namespace crossval
