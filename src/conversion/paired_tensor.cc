#include "conversion/paired_tensor.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "arch/checkpoint_config.h"

namespace crossval {
namespace {

struct Meaning {
  TensorSpec spec;
  bool is_bias;
};

std::map<std::string, Meaning> meanings(const ConversionModel& of) {
  std::map<std::string, Meaning> all;
  for (const TensorSpec& spec : tensors_of(of.model, of.arch, of.config)) {
    all.insert({spec.name(), {spec, spec.is_bias}});
    if (!spec.is_bias) all.insert({spec.stem() + ".bias", {spec, true}});
    // Some files name what others put below ".weight" without it.
    if (!spec.is_bias && !spec.is_bare) all.insert({spec.stem(), {spec, false}});
  }
  return all;
}

bool contains_any(const std::string& name, std::initializer_list<const char*> words) {
  for (const char* word : words) {
    if (name.find(word) != std::string::npos) return true;
  }
  return false;
}

// Layers behind the last: they predict further tokens, and converters may leave them out.
bool is_beyond_layers(const std::string& name, int n_layers) {
  for (const char* mark : {"layers.", "h.", "blocks."}) {
    const size_t at = name.find(mark);
    if (at == std::string::npos) continue;
    const std::string rest = name.substr(at + std::string(mark).size(), 6);
    if (rest.empty() || rest[0] < '0' || rest[0] > '9') continue;
    return std::stoi(rest) >= n_layers;
  }
  return false;
}

// Why no tensor of the GGUF is made of it; "" = that is not known.
std::string reason_to_leave_out(const std::string& name, const ConversionModel& of) {
  if (name.ends_with("rotary_emb.inv_freq") || name.ends_with(".masked_bias") ||
      name.ends_with(".attn.bias") || name.ends_with(".attention.bias")) {
    return "a table that follows from the configuration";
  }
  if (contains_any(name, {"vision", "visual.", "audio", "mm_projector", "multi_modal_projector",
                          "image_newline", "patch_embed"})) {
    return "of pictures or sound";
  }
  if (name.starts_with("mtp.") || is_beyond_layers(name, of.config.n_layers)) {
    return "predicts further tokens";
  }
  return "";
}

// An output matrix that is the embedding's: by config.json, or as it is in every file.
bool is_tied_output(const std::string& name, const ConversionModel& of) {
  if (!name.ends_with("lm_head.weight")) return false;
  const ConfigValue tied = find_value(of.facts.config, "tie_word_embeddings");
  if (of.arch.tied_output || (tied && tied.value == true)) return true;
  const SafetensorsTensor* head = of.checkpoint.find(name);
  for (const auto& [other, tensor] : of.checkpoint.tensors()) {
    if (!contains_any(other, {"embed", "wte"}) || tensor.data.size() != head->data.size()) continue;
    if (std::equal(tensor.data.begin(), tensor.data.end(), head->data.begin())) return true;
  }
  return false;
}

}  // namespace

TensorPairs pair_with_checkpoint(const ConversionModel& of) {
  TensorPairs out;
  const std::map<std::string, Meaning> known = meanings(of);
  std::map<std::string, int64_t, std::less<>> used;  // elements
  for (const TensorView& tensor : of.model.tensors()) {
    const auto meaning = known.find(tensor.name);
    if (meaning == known.end()) {
      out.surplus.push_back({&tensor, ""});
      continue;
    }
    const auto& [spec, is_bias] = meaning->second;
    auto source = checkpoint_source(spec, is_bias, tensor.shape, of.row, of.config, of.facts);
    if (!source) {
      std::string expected = expected_checkpoint_name(spec, is_bias, of.facts);
      out.surplus.push_back({&tensor, expected.empty() ? "nothing" : std::move(expected)});
      continue;
    }
    for (const CheckpointPart& part : source->parts) {
      used[part.name] += part.n_rows() * part.n_cols;
    }
    out.pairs.push_back({&tensor, spec, is_bias, std::move(*source)});
  }
  for (const auto& [name, tensor] : of.checkpoint.tensors()) {
    const auto part = used.find(name);
    if (part != used.end()) {
      if (part->second < tensor.n_elements()) out.missing.push_back(name);
      continue;
    }
    const std::string reason =
        is_tied_output(name, of) ? "tied to the embedding" : reason_to_leave_out(name, of);
    if (reason.empty()) {
      out.missing.push_back(name);
    } else {
      out.left_out.push_back(fmt::format("{}: {}", name, reason));
    }
  }
  return out;
}

}  // namespace crossval
