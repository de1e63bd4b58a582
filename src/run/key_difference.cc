#include "run/key_difference.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <set>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/printable.h"
#include "run/vocab_difference.h"

namespace crossval {
namespace {

constexpr size_t kShownValues = 6;

// A key below the architecture's name that engines compute with, and what they take where the file
// has none: a value, "@other" for that of another key, "" for nothing in particular. Names:
// llama.cpp v0.5.0, src/llama-arch.cpp, and three of gguf-py's constants.py that it does not read
// itself (altup.*, activation_sparsity_scale). Defaults: src/llama-hparams.h, and `load_hparams` of
// src/llama-model.cpp for rope.
struct BearingKey {
  std::string_view name, otherwise;
};
constexpr auto kBearingKeys = std::to_array<BearingKey>({
    {"block_count", ""},
    {"embedding_length", ""},
    {"feed_forward_length", ""},
    {"leading_dense_block_count", "0"},
    {"expert_feed_forward_length", ""},
    {"expert_shared_feed_forward_length", ""},
    {"expert_chunk_feed_forward_length", ""},
    {"use_parallel_residual", ""},
    {"expert_count", "0"},
    {"expert_used_count", "0"},
    {"expert_shared_count", "0"},
    {"expert_group_count", "0"},
    {"expert_group_used_count", "0"},
    {"expert_group_scale", ""},
    {"expert_weights_scale", "0"},
    {"expert_weights_norm", "0"},
    {"expert_gating_func", ""},
    {"experts_per_group", ""},
    {"moe_every_n_layers", ""},
    {"interleave_moe_layer_step", ""},
    {"moe_latent_size", ""},
    {"nextn_predict_layers", "0"},
    {"logit_scale", "0"},
    {"embedding_scale", "0"},
    {"residual_scale", "0"},
    {"token_shift_count", ""},
    {"rescale_every_n_layers", ""},
    {"time_mix_extra_dim", ""},
    {"time_decay_extra_dim", ""},
    {"decoder_start_token_id", ""},
    {"decoder_block_count", ""},
    {"router_logit_softcapping", ""},
    {"swin_norm", ""},
    {"swiglu_clamp_exp", ""},
    {"swiglu_clamp_shexp", ""},
    {"embedding_length_per_layer_input", ""},
    {"activation_sparsity_scale", ""},
    {"altup.active_idx", ""},
    {"altup.num_inputs", ""},
    {"shortconv.l_cache", ""},
    {"full_attention_interval", ""},
    {"attention.head_count", ""},
    {"attention.head_count_kv", "@attention.head_count"},
    {"attention.key_length", "@width"},
    {"attention.value_length", "@width"},
    {"attention.key_length_mla", ""},
    {"attention.value_length_mla", ""},
    {"attention.key_length_swa", ""},
    {"attention.value_length_swa", ""},
    {"attention.layer_norm_epsilon", ""},
    {"attention.layer_norm_rms_epsilon", ""},
    {"attention.group_norm_epsilon", ""},
    {"attention.group_norm_groups", ""},
    {"attention.causal", "1"},
    {"attention.q_lora_rank", ""},
    {"attention.kv_lora_rank", ""},
    {"attention.decay_lora_rank", ""},
    {"attention.iclr_lora_rank", ""},
    {"attention.value_residual_mix_lora_rank", ""},
    {"attention.gate_lora_rank", ""},
    {"attention.relative_buckets_count", ""},
    {"attention.sliding_window", "0"},
    {"attention.sliding_window_pattern", ""},
    {"attention.scale", "0"},
    {"attention.output_scale", ""},
    {"attention.value_scale", ""},
    {"attention.temperature_length", ""},
    {"attention.temperature_scale", ""},
    {"attention.clamp_kqv", "0"},
    {"attention.max_alibi_bias", "0"},
    {"attention.shared_kv_layers", ""},
    {"attention.recurrent_layers", ""},
    {"attention.indexer.head_count", ""},
    {"attention.indexer.key_length", ""},
    {"attention.indexer.top_k", ""},
    {"rope.dimension_count", "@attention.key_length"},
    {"rope.dimension_count_swa", ""},
    {"rope.dimension_sections", ""},
    {"rope.freq_base", "10000"},
    {"rope.freq_base_swa", ""},
    {"rope.scale_linear", "0"},
    {"rope.scaling.type", "linear"},
    {"rope.scaling.factor", "0"},
    {"rope.scaling.attn_factor", "1"},
    {"rope.scaling.alpha", ""},
    {"rope.scaling.original_context_length", "@context_length"},
    {"rope.scaling.yarn_log_multiplier", "0"},
    {"rope.scaling.yarn_ext_factor", ""},
    {"rope.scaling.yarn_attn_factor", "1"},
    {"rope.scaling.yarn_beta_fast", "32"},
    {"rope.scaling.yarn_beta_slow", "1"},
});

// Without scaling by YaRN or LongRoPE nothing asks how long the original context was.
constexpr auto kScalingDetails = std::to_array<std::string_view>(
    {"rope.scaling.original_context_length", "rope.scaling.yarn_log_multiplier",
     "rope.scaling.yarn_ext_factor", "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast",
     "rope.scaling.yarn_beta_slow"});

// Only these read a soft cap; others leave a stray key alone.
constexpr auto kCapping =
    std::to_array<std::string_view>({"gemma2", "gemma3", "gemma3n", "gemma4", "grok"});

std::string number_text(double value) { return fmt::format("{:.9g}", value); }

// The value on one line, at most `max_values` of a list.
std::string value_text(const MetaValue& value, size_t max_values) {
  return std::visit(
      [&](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string_view>) {
          return printable(v, 60);
        } else if constexpr (std::is_same_v<T, bool>) {
          return v ? "true" : "false";
        } else if constexpr (std::is_arithmetic_v<T>) {
          return number_text(static_cast<double>(v));
        } else {
          std::string out = "[";
          for (size_t i = 0; i < std::min(v.size(), max_values); ++i) {
            out += i > 0 ? ", " : "";
            if constexpr (std::is_same_v<T, MetaValue::StringArray>) {
              out += printable(v[i], 20);
            } else {
              out += number_text(static_cast<double>(v[i]));
            }
          }
          if (v.size() > max_values) out += fmt::format(", ... {} values", v.size());
          return out + "]";
        }
      },
      value.value);
}

// What engines compute with: a list of one value repeated is that value, a flag is 0 or 1.
std::string plain_text(const MetaValue& value) {
  std::string text = value_text(value, SIZE_MAX);
  if (text == "true") return "1";
  if (text == "false") return "0";
  if (text.starts_with("[") && text.size() > 2) {
    const std::string_view list = std::string_view(text).substr(1, text.size() - 2);
    const std::string_view first = list.substr(0, list.find(", "));
    const size_t step = first.size() + 2;
    bool same = (list.size() + 2) % step == 0;
    for (size_t at = 0; same && at < list.size(); at += step) {
      same = list.substr(at, first.size()) == first;
    }
    if (same) return std::string(first);
  }
  return text;
}

class Effective {
 public:
  explicit Effective(const ModelFile& model) : model_(model), prefix_(model.architecture() + ".") {}

  std::string of(std::string_view name) const {
    if (const MetaValue* value = model_.find(prefix_ + std::string(name))) {
      std::string text = plain_text(*value);
      const bool is_neutral =
          (text == "none" && name == "rope.scaling.type" && !scales()) ||
          (text == "1" && (name == "rope.scaling.factor" || name == "expert_weights_scale"));
      return is_neutral ? otherwise(name) : text;
    }
    return otherwise(name);
  }
  bool scales() const {
    const MetaValue* factor = model_.find(prefix_ + "rope.scaling.factor");
    return factor != nullptr && plain_text(*factor) != "0" && plain_text(*factor) != "1";
  }
  bool has_scaling_details() const {
    const MetaValue* type = model_.find(prefix_ + "rope.scaling.type");
    return type != nullptr && plain_text(*type) != "none" && plain_text(*type) != "linear";
  }

 private:
  std::string otherwise(std::string_view name) const {
    if (name == "attn_logit_softcapping") return prefix_ == "gemma2." ? "50" : "0";
    if (name == "final_logit_softcapping") return prefix_ == "gemma2." ? "30" : "0";
    const auto* const row = std::find_if(kBearingKeys.begin(), kBearingKeys.end(),
                                         [&](const BearingKey& key) { return key.name == name; });
    if (row == kBearingKeys.end()) {
      const MetaValue* value = model_.find(prefix_ + std::string(name));
      return value == nullptr ? "" : plain_text(*value);
    }
    if (row->otherwise == "@width") return head_width();
    return row->otherwise.starts_with("@") ? of(row->otherwise.substr(1))
                                           : std::string(row->otherwise);
  }
  std::string head_width() const {
    const std::string width = of("embedding_length"), heads = of("attention.head_count");
    const auto whole = [](const std::string& text) {
      return !text.empty() && text.size() < 10 &&
                     text.find_first_not_of("0123456789") == std::string::npos
                 ? std::stoll(text)
                 : 0;
    };
    return whole(heads) > 0 ? std::to_string(whole(width) / whole(heads)) : "";
  }

  const ModelFile& model_;
  std::string prefix_;
};

bool bears(std::string_view key, const ModelFile& engine, const ModelFile& backend) {
  if (key == "general.architecture") return true;
  const std::string arch = engine.architecture();
  if (arch != backend.architecture()) return false;  // said by that key
  if (!key.starts_with(arch + ".")) return false;
  const std::string_view name = key.substr(arch.size() + 1);
  const Effective ours(engine), theirs(backend);
  if (name.ends_with("_logit_softcapping") && !name.starts_with("router")) {
    const bool is_read = std::find(kCapping.begin(), kCapping.end(), arch) != kCapping.end();
    return is_read && ours.of(name) != theirs.of(name);
  }
  const bool is_detail =
      std::find(kScalingDetails.begin(), kScalingDetails.end(), name) != kScalingDetails.end();
  const bool has_details = ours.has_scaling_details() || theirs.has_scaling_details();
  if (name == "context_length") {
    constexpr std::string_view original = "rope.scaling.original_context_length";
    return has_details && ours.of(original) != theirs.of(original);
  }
  if (is_detail && !has_details) return false;
  const bool is_known = std::any_of(kBearingKeys.begin(), kBearingKeys.end(),
                                    [&](const BearingKey& row) { return row.name == name; }) ||
                        name.starts_with("ssm.") || name.starts_with("wkv.");
  return is_known && ours.of(name) != theirs.of(name);
}

bool same_value(const MetaValue* a, const MetaValue* b) {
  return a != nullptr && b != nullptr && a->gguf_type == b->gguf_type &&
         a->element_type == b->element_type && std::ranges::equal(a->raw, b->raw);
}

size_t list_size(const MetaValue& value) {
  return std::visit(
      [](const auto& v) -> size_t {
        if constexpr (requires { v.size(); }) return v.size();
        return 1;
      },
      value.value);
}

}  // namespace

std::vector<KeyDifference> key_differences(const ModelFile& engine, const ModelFile& backend) {
  std::set<std::string_view> keys;
  for (const ModelFile* model : {&engine, &backend}) {
    for (const auto& [key, value] : model->metadata()) {
      if (!key.starts_with("tokenizer.") && !key.starts_with("split.")) keys.insert(key);
    }
  }
  std::vector<KeyDifference> out;
  for (const std::string_view key : keys) {
    const MetaValue *ours = engine.find(key), *theirs = backend.find(key);
    if (same_value(ours, theirs)) continue;
    KeyDifference difference{.key = std::string(key)};
    if (ours != nullptr) difference.engine = value_text(*ours, kShownValues);
    if (theirs != nullptr) difference.backend = value_text(*theirs, kShownValues);
    difference.bears = bears(key, engine, backend);
    out.push_back(std::move(difference));
  }
  return out;
}

std::string vocabulary_words(const ModelFile& engine, const ModelFile& backend) {
  std::string words;
  const auto add = [&](const std::string& more) { words += (words.empty() ? "" : "; ") + more; };
  for (const std::string_view list : {"tokens", "scores", "token_type", "merges"}) {
    const std::string key = "tokenizer.ggml." + std::string(list);
    const MetaValue *ours = engine.find(key), *theirs = backend.find(key);
    if ((ours == nullptr && theirs == nullptr) || same_value(ours, theirs)) continue;
    const auto size = [](const MetaValue* value) {
      return value == nullptr ? "none" : std::to_string(list_size(*value));
    };
    add(fmt::format("{} differ ({}, {})", key, size(ours), size(theirs)));
  }
  if (const std::string singles = vocab_difference(engine, backend); !singles.empty()) add(singles);
  return words.empty() ? "" : "the vocabulary: " + words;
}

std::string template_words(const ModelFile& engine, const ModelFile& backend) {
  constexpr std::string_view key = "tokenizer.chat_template";
  const MetaValue *ours = engine.find(key), *theirs = backend.find(key);
  if ((ours == nullptr && theirs == nullptr) || same_value(ours, theirs)) return "";
  return ours == nullptr     ? "the chat template, which only the backend's file has"
         : theirs == nullptr ? "the chat template, which only the engine's file has"
                             : "the chat template";
}

}  // namespace crossval
