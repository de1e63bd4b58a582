#include "native/check_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "arch/archs.h"
#include "base/error.h"
#include "base/printable.h"
#include "gguf/model_kind.h"
#include "native/support.h"
#include "native/weights.h"

namespace crossval {
namespace {

constexpr const char* kAgain = "download or convert the model again";

void check_layers(const ModelFile& model) {
  const std::string key = model.architecture() + ".block_count";
  const auto n_layers = model.get_int(key);
  if (!n_layers || *n_layers < 0 || *n_layers > 1 << 16) return;  // native's reader says it
  std::vector<bool> has(static_cast<size_t>(*n_layers));
  for (const TensorView& tensor : model.tensors()) {
    const int64_t layer = layer_of_tensor(tensor.name);
    if (layer < 0) continue;
    if (layer >= *n_layers) {
      bad_input(
          "surplus_tensor",
          fmt::format("the file holds '{}', while '{}' says that there are {} layers, 0 to {}",
                      printable(tensor.name), printable(key), *n_layers, *n_layers - 1),
          model.path(), fmt::format("correct that key, or {}", kAgain));
    }
    has[static_cast<size_t>(layer)] = true;
  }
  // Those that guess further ahead may be left out.
  const auto n_ahead = model.get_int(model.architecture() + ".nextn_predict_layers").value_or(0);
  if (n_ahead > 0 && n_ahead < *n_layers) has.resize(static_cast<size_t>(*n_layers - n_ahead));
  const auto missing = std::ranges::find(has, false);
  if (missing == has.end() || std::ranges::find(has, true) == has.end()) return;
  bad_input("missing_tensor",
            fmt::format("the file has no tensor of layer {}, while '{}' says that there are {}",
                        missing - has.begin(), printable(key), *n_layers),
            model.path(), kAgain);
}

void check_numbers(const ModelFile& model) {
  const std::string prefix = model.architecture() + ".";
  for (const char* key : {"block_count", "context_length", "embedding_length"}) {
    (void)model.get_int(prefix + key);
  }
  for (const char* key : {"attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon",
                          "rope.freq_base", "rope.scaling.factor", "attention.scale"}) {
    (void)model.get_float(prefix + key);
  }
}

void check_vocabulary(const ModelFile& model) {
  const MetaValue* value = model.find("tokenizer.ggml.tokens");
  const auto* tokens =
      value == nullptr ? nullptr : std::get_if<MetaValue::StringArray>(&value->value);
  if (tokens == nullptr) return;
  const TensorView* embd = model.find_tensor("token_embd.weight");
  const auto n_tokens = static_cast<int64_t>(tokens->size());
  if (embd != nullptr && embd->shape.size() == 2 && embd->shape[1] < n_tokens) {
    bad_input("wrong_shape",
              fmt::format("'token_embd.weight' has {} rows, the vocabulary has {} tokens",
                          embd->shape[1], n_tokens),
              model.path(), kAgain);
  }
  std::unordered_map<std::string_view, size_t> ids;
  ids.reserve(tokens->size());
  for (size_t id = 0; id < tokens->size(); ++id) {
    const std::string_view token = (*tokens)[id];
    if (token.empty()) continue;  // engines give those names
    const auto [first, is_new] = ids.emplace(token, id);
    if (is_new) continue;
    bad_input(
        "duplicate_token",
        fmt::format("ids {} and {} are the same token '{}'", first->second, id, printable(token)),
        model.path() + ": metadata key 'tokenizer.ggml.tokens'", kAgain);
  }
}

}  // namespace

void check_model(const ModelFile& model) {
  if (const auto other = other_kind(model)) {
    bad_input("no_language_model", other->what, model.path(), other->fix);
  }
  check_numbers(model);
  check_layers(model);
  check_vocabulary(model);
  if (native_unsupported_reason(model)) return;
  const Arch& arch = *find_arch(model.architecture());
  Config config = read_config(model, arch);
  (void)bind_weights(model, arch, config);
}

}  // namespace crossval
