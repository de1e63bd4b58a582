#include "gguf/model_kind.h"

#include <algorithm>
#include <string_view>

namespace crossval {
namespace {

std::string text_of(const ModelFile& model, std::string_view key) {
  const MetaValue* value = model.find(key);
  const auto* text = value == nullptr ? nullptr : std::get_if<std::string_view>(&value->value);
  return text == nullptr ? "" : std::string(*text);
}

}  // namespace

// general.type: gguf-py constants.py, `GGUFType`; names of tensors: convert_lora_to_gguf.py and
// tools/imatrix of llama.cpp.
std::optional<OtherKind> other_kind(const ModelFile& model) {
  const std::string type = text_of(model, "general.type");
  const std::string arch = text_of(model, "general.architecture");
  const auto any_ends_with = [&](std::string_view end) {
    return std::ranges::any_of(
        model.tensors(), [&](const TensorView& tensor) { return tensor.name.ends_with(end); });
  };
  if (type == "adapter" || any_ends_with(".lora_a")) {
    return OtherKind{"this is a LoRA adapter, not a model of its own",
                     "merge it into its base model (llama.cpp's llama-export-lora) and name that"};
  }
  if (type == "mmproj" || arch == "clip") {
    return OtherKind{"this is a multimodal projector (mmproj), not a language model",
                     "name the language model that it belongs to"};
  }
  if (type == "imatrix" || any_ends_with(".in_sum2")) {
    return OtherKind{"this is an importance matrix (imatrix), not a model",
                     "name a model that was quantised with it"};
  }
  if (model.tensors().empty()) {
    return OtherKind{type == "vocab" || model.find("tokenizer.ggml.tokens") != nullptr
                         ? "the file holds a vocabulary alone, no weights"
                         : "the file holds no weights",
                     "name the whole model"};
  }
  return std::nullopt;
}

}  // namespace crossval
