#include "arch/checkpoint_names.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "arch/checkpoint_parts.h"
#include "arch/checkpoint_table.h"

namespace crossval {
namespace {

int64_t count(const std::vector<int64_t>& shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

std::string layer_prefix(const TensorSpec& spec, const CheckpointFacts& facts) {
  if (spec.layer < 0) return "";
  const int number = spec.block < 0 ? spec.layer : spec.block;
  for (const std::string_view prefix : checkpoint_prefixes()) {
    const auto first = facts.shapes.lower_bound(prefix);
    if (first == facts.shapes.end() || !first->first.starts_with(prefix)) continue;
    return fmt::format("{}{}.", prefix, number);
  }
  return fmt::format("{}{}.", checkpoint_prefixes().front(), number);
}

std::string full_name(const CheckpointName& name, const std::string& prefix, bool is_bias,
                      int64_t expert) {
  std::string full = prefix + std::string(name.name);
  if (const size_t star = full.find('*'); star != std::string::npos) {
    full.replace(star, 1, fmt::format("{}", expert));
  }
  return name.end == NameEnd::usual ? full + (is_bias ? ".bias" : ".weight") : full;
}

bool is_for(const CheckpointName& name, Role role, bool is_bias) {
  return name.role == role &&
         (name.end == NameEnd::usual || (name.end == NameEnd::bare_bias) == is_bias);
}

// Every expert's matrix, one below the other; nothing where one is missing or of another size.
std::optional<CheckpointSource> stacked(const CheckpointName& name, const std::string& prefix,
                                        bool is_bias, const PartShape& shape,
                                        const CheckpointFacts& facts) {
  CheckpointSource source;
  const int64_t n_experts = is_bias ? shape.n_rows : shape.n_experts;
  for (int64_t expert = 0; expert < n_experts; ++expert) {
    const std::string full = full_name(name, prefix, is_bias, expert);
    const auto found = facts.shapes.find(full);
    const int64_t n_rows = shape.n_rows / n_experts;
    if (found == facts.shapes.end() || count(found->second) != n_rows * shape.n_cols) return {};
    source.parts.push_back(
        {.name = full, .rows = {{n_rows, shape.n_cols}}, .n_cols = shape.n_cols});
  }
  if (source.parts.empty()) return {};
  return source;
}

// What checkpoints multiply or add to nothing but the converter does.
void set_values(const TensorSpec& spec, const CheckpointRow& row, const CheckpointFacts& facts,
                CheckpointSource& source) {
  if (spec.role == Role::ssm_a) source.values = CheckpointValues::minus_exp;
  const std::string& name = source.parts.front().name;
  // The norm of linear attention's result is stored as it is (qwen.py).
  if (row.norms_plus_one && name.ends_with("norm.weight") && spec.role != Role::ssm_norm) {
    source.values = CheckpointValues::plus_one;
  }
  if (row.scale != nullptr) row.scale(facts.config, spec.role, source.parts);
}

// More rows of the vocabulary than the checkpoint has: the rest is zeros.
std::optional<CheckpointSource> padded(const std::string& name, int64_t n_elements,
                                       const PartShape& shape) {
  const int64_t n_cols = shape.n_cols;
  if (n_elements == 0 || n_elements % n_cols != 0 || n_elements / n_cols >= shape.n_rows) return {};
  const int64_t n_rows = n_elements / n_cols;
  CheckpointSource source;
  source.parts.push_back({.name = name, .rows = {{n_rows, n_cols}}, .n_cols = n_cols});
  source.parts.push_back({.rows = {{shape.n_rows - n_rows, 0}}, .n_cols = n_cols});
  return source;
}

std::optional<CheckpointSource> source_under(const CheckpointName& name, const TensorSpec& spec,
                                             bool is_bias, const PartShape& shape,
                                             const CheckpointRow& row, const Config& config,
                                             const CheckpointFacts& facts) {
  const std::string prefix = layer_prefix(spec, facts);
  if (name.name.find('*') != std::string_view::npos) {
    return stacked(name, prefix, is_bias, shape, facts);
  }
  const std::string full = full_name(name, prefix, is_bias, 0);
  const auto found = facts.shapes.find(full);
  if (found == facts.shapes.end()) return {};
  const int64_t n_elements = count(found->second);
  if (spec.role == Role::token_embd || spec.role == Role::output) {
    if (auto source = padded(full, n_elements, shape)) return source;
  }
  return lay_out(name.layout, full, n_elements, spec, is_bias, shape, row, config);
}

// One fused tensor out of three.
std::optional<CheckpointSource> joined_qkv(const TensorSpec& spec, bool is_bias,
                                           const PartShape& shape, const CheckpointRow& row,
                                           const Config& config, const CheckpointFacts& facts) {
  const LayerConfig& layer = config.layers[static_cast<size_t>(spec.layer)];
  const int64_t n_q = int64_t{layer.n_heads} * config.head_dim;
  const int64_t n_kv = int64_t{layer.n_kv_heads} * config.head_dim;
  CheckpointSource all;
  for (const Role role : {Role::attn_q, Role::attn_k, Role::attn_v}) {
    TensorSpec one = spec;
    one.role = role;
    const int64_t n_rows = role == Role::attn_q ? n_q : n_kv;
    std::vector<int64_t> own = {n_rows};
    if (!is_bias) own.insert(own.begin(), shape.n_cols);
    const auto source = checkpoint_source(one, is_bias, own, row, config, facts);
    if (!source || source->form == CheckpointForm::slice) return {};
    all.parts.insert(all.parts.end(), source->parts.begin(), source->parts.end());
  }
  all.form = CheckpointForm::joined;
  return all;
}

const nlohmann::json* rope_parameters(const nlohmann::json& config) {
  for (const char* key : {"rope_parameters", "rope_scaling"}) {
    const auto found = config.find(key);
    if (found == config.end() || !found->is_object()) continue;
    const auto full = found->find("full_attention");
    return full != found->end() && full->is_object() ? &*full : &*found;
  }
  return nullptr;
}

double number_of(const nlohmann::json& object, const char* key, double fallback) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : fallback;
}

// Llama 3's factors of frequencies (llama.py generate_extra_tensors).
std::vector<float> llama3_factors(const nlohmann::json& rope, const nlohmann::json& config,
                                  int64_t n) {
  const double base = number_of(rope, "rope_theta", number_of(config, "rope_theta", 10000));
  const double factor = number_of(rope, "factor", 8);
  const double low = number_of(rope, "low_freq_factor", 1);
  const double high = number_of(rope, "high_freq_factor", 4);
  const double length = number_of(rope, "original_max_position_embeddings", 8192);
  std::vector<float> factors;
  for (int64_t i = 0; i < n; ++i) {
    const double wave =
        2 * std::numbers::pi * std::pow(base, static_cast<double>(i) / static_cast<double>(n));
    if (wave < length / high) {
      factors.push_back(1);
    } else if (wave > length / low) {
      factors.push_back(static_cast<float>(factor));
    } else {
      const double smooth = (length / wave - low) / (high - low);
      factors.push_back(static_cast<float>(1 / ((1 - smooth) / factor + smooth)));
    }
  }
  return factors;
}

// Tensors that follow from the configuration alone.
std::optional<CheckpointSource> computed(const TensorSpec& spec, int64_t n,
                                         const CheckpointFacts& facts) {
  const nlohmann::json* rope = rope_parameters(facts.config);
  if (rope == nullptr || n < 1) return {};
  CheckpointSource source;
  if (spec.role == Role::rope_freqs) {
    const auto kind =
        rope->find("rope_type") != rope->end() ? rope->find("rope_type") : rope->find("type");
    if (kind == rope->end() || *kind != "llama3") return {};
    source.computed = llama3_factors(*rope, facts.config, n);
    return source;
  }
  const bool is_long = spec.role == Role::rope_factors_long;
  const auto list = rope->find(is_long ? "long_factor" : "short_factor");
  if (list == rope->end() || !list->is_array()) return {};
  for (const nlohmann::json& value : *list) {
    if (!value.is_number()) return {};
    source.computed.push_back(value.get<float>());
  }
  if (static_cast<int64_t>(source.computed.size()) != n) return {};
  return source;
}

bool is_computed(Role role) {
  return role == Role::rope_freqs || role == Role::rope_factors_long ||
         role == Role::rope_factors_short;
}

}  // namespace

int64_t CheckpointPart::n_rows() const {
  return std::accumulate(rows.begin(), rows.end(), int64_t{1},
                         [](int64_t n, const Axis& axis) { return n * axis.count; });
}

int64_t CheckpointPart::row_begin(int64_t r) const {
  int64_t at = offset;
  for (auto axis = rows.rbegin(); axis != rows.rend(); ++axis) {
    at += r % axis->count * axis->stride;
    r /= axis->count;
  }
  return at;
}

std::optional<CheckpointSource> checkpoint_source(const TensorSpec& spec, bool is_bias,
                                                  const std::vector<int64_t>& shape,
                                                  const CheckpointRow& row, const Config& config,
                                                  const CheckpointFacts& facts) {
  if (std::ranges::any_of(shape, [](int64_t n) { return n < 1; })) return {};
  if (is_computed(spec.role)) return computed(spec, count(shape), facts);
  const PartShape parts = part_shape(shape);
  for (const CheckpointName& name : checkpoint_names()) {
    if (!is_for(name, spec.role, is_bias)) continue;
    auto source = source_under(name, spec, is_bias, parts, row, config, facts);
    if (!source) continue;
    set_values(spec, row, facts, *source);
    return source;
  }
  if (spec.role == Role::attn_qkv && spec.layer >= 0) {
    return joined_qkv(spec, is_bias, parts, row, config, facts);
  }
  if (spec.role == Role::output && !is_bias) {
    TensorSpec embedding = spec;
    embedding.role = Role::token_embd;
    auto source = checkpoint_source(embedding, false, shape, row, config, facts);
    if (source) source->is_tied = true;
    return source;
  }
  return {};
}

std::string expected_checkpoint_name(const TensorSpec& spec, bool is_bias,
                                     const CheckpointFacts& facts) {
  for (const CheckpointName& name : checkpoint_names()) {
    if (is_for(name, spec.role, is_bias)) {
      return full_name(name, layer_prefix(spec, facts), is_bias, 0);
    }
  }
  return "";
}

std::string_view checkpoint_words(CheckpointForm form) {
  switch (form) {
    case CheckpointForm::as_is:
      return "";
    case CheckpointForm::rotary_halves:
      return "rows of the two halves of each head take turns";
    case CheckpointForm::transposed:
      return "transposed";
    case CheckpointForm::qkv_by_head:
      return "queries, keys and values of each head parted";
    case CheckpointForm::qkv_by_group:
      return "queries, keys and values of each group of heads parted";
    case CheckpointForm::slice:
      return "rows of a fused matrix";
    case CheckpointForm::joined:
      return "several matrices joined";
    case CheckpointForm::latent_keys:
      return "rows of keys, each head transposed";
    case CheckpointForm::latent_values:
      return "rows of values";
    case CheckpointForm::delta_by_head:
      return "queries, keys, values and gates of each head parted";
  }
  return "";
}

}  // namespace crossval
