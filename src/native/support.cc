#include "native/support.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <vector>

#include "arch/archs.h"
#include "arch/tensors.h"
#include "base/error.h"
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

// A key that holds a value for each layer where native reads one number; "" = none.
std::string key_with_many_values(const ModelFile& model, const std::string& prefix) {
  constexpr std::string_view read_per_layer[] = {
      "feed_forward_length",        "attention.head_count",
      "attention.head_count_kv",    "attention.sliding_window_pattern",
      "attention.recurrent_layers", "rope.dimension_sections",
      "attention.indexer.types",    "attention.rope_pattern",
      "swiglu_clamp_exp",           "swiglu_clamp_shexp",
      "expert_used_count",          "expert_feed_forward_length",
      "attention.compress_ratios",  "ple.layer_multipliers",
      "ple.head_offsets",           "ple.head_vocab_sizes"};
  for (const auto& [key, value] : model.metadata()) {
    if (!key.starts_with(prefix)) continue;
    const std::string_view name = std::string_view(key).substr(prefix.size());
    if (std::ranges::find(read_per_layer, name) != std::end(read_per_layer)) continue;
    const auto* whole = std::get_if<std::vector<int64_t>>(&value.value);
    const auto* real = std::get_if<std::vector<double>>(&value.value);
    const bool differ = (whole != nullptr && !whole->empty() && !model.get_int(key)) ||
                        (real != nullptr && !real->empty() && !model.get_float(key));
    if (differ) return key;
  }
  return "";
}

// Of a layer that guesses tokens further ahead (config.cc).
bool is_behind_last_layer(const ModelFile& model, std::string_view name) {
  const std::string arch = model.architecture();
  const int64_t n_ahead = model.get_int(arch + ".nextn_predict_layers").value_or(0);
  const int64_t n_layers = model.get_int(arch + ".block_count").value_or(0);
  return n_ahead > 0 && n_ahead < n_layers && layer_of_tensor(name) >= n_layers - n_ahead;
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

// Keys that change the computation, and whether the architecture is computed with them. Present and
// not 0 where it is not, native refuses rather than be wrong.
bool computes_with(const Arch& arch, std::string_view key) {
  if (key == "expert_count") return arch.find_experts() != nullptr;
  if (key == "attention.sliding_window") return arch.window.period != 0;
  return arch.logit_scale.key != nullptr;
}

bool has_router(const ModelFile& model) {
  return std::ranges::any_of(model.tensors(), [](const TensorView& tensor) {
    return tensor.name.find(".ffn_gate_inp.") != std::string::npos;
  });
}

// Of whole numbers, which are read as they are (arch/tensors.h TensorSpec::is_table).
bool is_table(const TensorView& tensor) {
  return tensor.type == GgmlType::I32 &&
         tensor.name.ends_with(fmt::format(".{}.weight", role_name(Role::ffn_gate_tid2eid)));
}

// A tensor that would change the result and that the architecture has no use for; "" = none.
std::string unknown_tensor(const ModelFile& model, const Arch& arch) {
  std::set<std::string> known;
  try {
    known = known_tensors(model, arch, read_config(model, arch));
  } catch (const Error&) {
    return "";  // said where the keys are read to compute with them
  }
  for (const TensorView& tensor : model.tensors()) {
    if (!known.contains(tensor.name) && !is_harmless_tensor(model, tensor.name)) {
      return tensor.name;
    }
  }
  return "";
}

}  // namespace

int64_t layer_of_tensor(std::string_view name) {
  if (!name.starts_with("blk.")) return -1;
  const size_t dot = name.find('.', 4);
  if (dot == std::string_view::npos || dot == 4 || dot > 10) return -1;
  int64_t layer = 0;
  for (const char digit : name.substr(4, dot - 4)) {
    if (digit < '0' || digit > '9') return -1;
    layer = layer * 10 + (digit - '0');
  }
  return layer;
}

bool is_harmless_tensor(const ModelFile& model, std::string_view name) {
  // Only kernels that round activations to 4 bits read input scales; a classifier's head gives no
  // logits of tokens.
  return is_behind_last_layer(model, name) || name.ends_with(".input_scale") ||
         name.starts_with("cls.") || is_i2_s_scale(model, name);
}

std::optional<std::string> native_unsupported_reason(const ModelFile& model) {
  const std::string name = model.architecture();
  const Arch* arch = find_arch(name);
  if (arch == nullptr) {
    std::string known;
    for (const Arch& row : all_archs())
      known += (known.empty() ? "" : ", ") + std::string(row.name);
    return fmt::format("architecture '{}' is not one native knows ({})", name, known);
  }
  for (const std::string_view key : {"expert_count", "attention.sliding_window", "logit_scale"}) {
    if (computes_with(*arch, key)) continue;
    if (key == "expert_count" && !has_router(model)) continue;  // a key that nothing follows from
    const std::string full = fmt::format("{}.{}", name, key);
    if (present_and_set(model, full)) {
      return fmt::format("'{}' is set and native does not implement it", full);
    }
  }
  if (arch->causal && model.get_bool(name + ".attention.causal") == std::optional(false)) {
    return fmt::format("'{}.attention.causal' is false: native computes causal models", name);
  }
  if (const std::string key = key_with_many_values(model, name + "."); !key.empty()) {
    return fmt::format("'{}' has a value for each layer and native computes with one", key);
  }
  if (const std::string tensor = unknown_tensor(model, *arch); !tensor.empty()) {
    return fmt::format("native does not know what to do with tensor '{}'", tensor);
  }
  for (const TensorView& tensor : model.tensors()) {
    if (is_table(tensor)) continue;
    if (find_format(tensor.type) == nullptr) {
      const TypeInfo* type = find_type(static_cast<uint32_t>(tensor.type));
      return fmt::format("tensor '{}' has type {}, which native cannot read", tensor.name,
                         type ? type->name : "unknown");
    }
  }
  return std::nullopt;
}

}  // namespace crossval
