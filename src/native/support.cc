#include "native/support.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <vector>

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

// Keys that native reads as one number; a list of different ones is a model with layers of several
// kinds.
std::string key_with_many_values(const ModelFile& model, const std::string& prefix) {
  for (const auto& [key, value] : model.metadata()) {
    if (!key.starts_with(prefix)) continue;
    const auto* whole = std::get_if<std::vector<int64_t>>(&value.value);
    const auto* real = std::get_if<std::vector<double>>(&value.value);
    const bool differ = (whole != nullptr && !whole->empty() && !model.get_int(key)) ||
                        (real != nullptr && !real->empty() && !model.get_float(key));
    if (differ) return key;
  }
  return "";
}

// The scale that some layouts of I2_S keep in a tensor beside the weights (gguf/settle_i2_s.cc).
bool is_i2_s_scale(const ModelFile& model, std::string_view name) {
  for (const std::string_view end : {".scale", ".scales"}) {
    if (!name.ends_with(".weight" + std::string(end))) continue;
    const TensorView* weight = model.find_tensor(name.substr(0, name.size() - end.size()));
    return weight != nullptr && weight->type == GgmlType::I2_S;
  }
  return false;
}

// A tensor that would change the result and that native would leave out; "" = none.
std::string unused_tensor(const ModelFile& model, const Arch& arch) {
  constexpr std::string_view outside[] = {"token_embd.weight", "output.weight",
                                          "output_norm.weight", "rope_freqs.weight"};
  for (const TensorView& tensor : model.tensors()) {
    const std::string_view name = tensor.name;
    // Only kernels that round activations to 4 bits read those.
    if (name.ends_with(".input_scale")) continue;
    if (is_i2_s_scale(model, name)) continue;
    const size_t dot = name.starts_with("blk.") ? name.find('.', 4) : std::string_view::npos;
    const bool is_known =
        dot == std::string_view::npos
            ? std::ranges::find(outside, name) != std::end(outside)
            : std::ranges::any_of(arch.layer_weights, [&](const WeightSpec& spec) {
                return spec.name == name.substr(dot + 1);
              });
    if (!is_known) return tensor.name;
  }
  return "";
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
  if (model.get_bool(name + ".attention.causal") == std::optional(false)) {
    return fmt::format("'{}.attention.causal' is false: native computes causal models", name);
  }
  if (const std::string key = key_with_many_values(model, name + "."); !key.empty()) {
    return fmt::format("'{}' has a value for each layer and native computes with one", key);
  }
  if (const std::string tensor = unused_tensor(model, *arch); !tensor.empty()) {
    return fmt::format("native does not know what to do with tensor '{}'", tensor);
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
