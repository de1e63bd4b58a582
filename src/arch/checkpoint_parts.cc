#include "arch/checkpoint_parts.h"

namespace crossval {
namespace {

using Form = CheckpointForm;

// Everything that the layouts of one tensor need.
struct Place {
  const std::string& name;
  int64_t n_elements;  // of `name`
  const TensorSpec& spec;
  bool is_bias;
  PartShape shape;
  const CheckpointRow& row;
  const Config& config;

  const LayerConfig& layer() const { return config.layers[static_cast<size_t>(spec.layer)]; }
  int64_t n_values() const { return shape.n_rows * shape.n_cols; }
  CheckpointPart part(int64_t offset, std::vector<Axis> rows, int64_t col_stride = 1) const {
    return {.name = name,
            .offset = offset,
            .rows = std::move(rows),
            .n_cols = shape.n_cols,
            .col_stride = col_stride};
  }
};

using Result = std::optional<CheckpointSource>;

Result one_part(const CheckpointPart& part, Form form) { return CheckpointSource{{part}, form}; }

Result as_it_is(const Place& place) {
  if (place.n_elements != place.n_values()) return {};
  // GPT-2's Conv1D has rows of inputs (gpt2.py): c_attn, c_fc, c_proj.
  if (place.row.conv1d && place.spec.layer >= 0 && place.spec.is_linear && !place.is_bias) {
    return one_part(place.part(0, {{place.shape.n_rows, 1}}, place.shape.n_rows), Form::transposed);
  }
  return one_part(place.part(0, {{place.shape.n_rows, place.shape.n_cols}}), Form::as_is);
}

// Rows of `n_heads` heads (llama.py permute): of each, first and second half take turns.
std::vector<Axis> turned(int64_t n_heads, int64_t head_stride, int64_t head_dim, int64_t n_cols) {
  return {{n_heads, head_stride}, {head_dim / 2, n_cols}, {2, head_dim / 2 * n_cols}};
}

Result rotated(const Place& place, bool is_query) {
  const int64_t n_heads = is_query ? place.layer().n_heads : place.layer().n_kv_heads;
  if (!place.row.rotary_halves) return as_it_is(place);
  if (place.n_elements != place.n_values() || n_heads < 1 ||
      place.shape.n_rows % (2 * n_heads) != 0) {
    return {};
  }
  const int64_t head_dim = place.shape.n_rows / n_heads;
  return one_part(
      place.part(0, turned(n_heads, head_dim * place.shape.n_cols, head_dim, place.shape.n_cols)),
      Form::rotary_halves);
}

// Sizes of a matrix of queries, keys and values.
struct Fused {
  int64_t n_heads, n_kv_heads, head_dim, n_cols;

  int64_t n_rows() const { return (n_heads + 2 * n_kv_heads) * head_dim; }
  int64_t n_shared() const { return n_heads / n_kv_heads; }
  int64_t group() const { return (n_shared() + 2) * head_dim * n_cols; }
};

std::optional<Fused> fused_sizes(const Place& place) {
  const LayerConfig& layer = place.layer();
  const Fused sizes = {layer.n_heads, layer.n_kv_heads, place.config.head_dim, place.shape.n_cols};
  if (sizes.n_heads < 1 || sizes.n_kv_heads < 1 || sizes.n_heads % sizes.n_kv_heads != 0 ||
      place.n_elements != sizes.n_rows() * sizes.n_cols) {
    return {};
  }
  return sizes;
}

// The rows of queries (0), keys (1) or values (2) in a matrix where each group's stand together:
// queries that share a key, the key, the value.
CheckpointPart of_groups(const Place& place, const Fused& sizes, int which, bool is_turned) {
  const int64_t head = sizes.head_dim * sizes.n_cols;
  const int64_t offset = which == 0 ? 0 : (sizes.n_shared() + which - 1) * head;
  std::vector<Axis> rows = {{sizes.n_kv_heads, sizes.group()}};
  if (which == 0) rows.push_back({sizes.n_shared(), head});
  if (is_turned && which != 2) {
    rows.push_back({sizes.head_dim / 2, sizes.n_cols});
    rows.push_back({2, sizes.head_dim / 2 * sizes.n_cols});
  } else {
    rows.push_back({sizes.head_dim, sizes.n_cols});
  }
  return place.part(offset, std::move(rows));
}

Result whole_qkv(const Place& place) {
  if (place.row.qkv == CheckpointRow::Qkv::plain) return as_it_is(place);
  const auto sizes = fused_sizes(place);
  if (!sizes || place.n_elements != place.n_values()) return {};
  const bool by_head = place.row.qkv == CheckpointRow::Qkv::by_head;
  CheckpointSource source;
  source.form = by_head ? Form::qkv_by_head : Form::qkv_by_group;
  for (int which = 0; which < 3; ++which) {
    source.parts.push_back(of_groups(place, *sizes, which, false));
  }
  return source;
}

Result of_fused(const Place& place, int which) {
  const auto sizes = fused_sizes(place);
  const int64_t n_heads = which == 0 ? place.layer().n_heads : place.layer().n_kv_heads;
  if (!sizes || place.shape.n_rows != n_heads * sizes->head_dim) return {};
  const bool is_turned = place.row.rotary_halves && sizes->head_dim % 2 == 0;
  if (place.row.qkv != CheckpointRow::Qkv::plain) {
    return one_part(of_groups(place, *sizes, which, is_turned), Form::slice);
  }
  const int64_t head = sizes->head_dim * sizes->n_cols;
  const int64_t before = which == 0   ? 0
                         : which == 1 ? sizes->n_heads
                                      : sizes->n_heads + sizes->n_kv_heads;
  return one_part(
      place.part(before * head, is_turned && which != 2
                                    ? turned(n_heads, head, sizes->head_dim, sizes->n_cols)
                                    : std::vector<Axis>{{place.shape.n_rows, sizes->n_cols}}),
      Form::slice);
}

// Gate or up of each expert (or of the one dense part).
Result half(const Place& place, bool is_up) {
  if (place.n_elements != 2 * place.n_values()) return {};
  const bool has_experts =
      place.spec.role == Role::ffn_gate_exps || place.spec.role == Role::ffn_up_exps;
  const auto fused = has_experts ? place.row.experts : CheckpointRow::Fused::rows;
  // Biases of experts are rows in a file, one of each expert: as a vector for each.
  const int64_t n_experts = !has_experts    ? 1
                            : place.is_bias ? place.shape.n_rows
                                            : place.shape.n_experts;
  const int64_t n_cols = place.is_bias && has_experts ? 1 : place.shape.n_cols;
  const int64_t n_ff = place.n_values() / (n_experts * n_cols);
  const bool turns = fused == CheckpointRow::Fused::interleaved;
  CheckpointPart part = place.part(0, {});
  part.n_cols = n_cols;
  if (fused == CheckpointRow::Fused::rows || fused == CheckpointRow::Fused::down_columns) {
    part.offset = is_up ? n_ff * n_cols : 0;
    part.rows = {{n_experts, 2 * n_ff * n_cols}, {n_ff, n_cols}};
  } else {
    part.offset = !is_up ? 0 : turns ? 1 : n_ff;
    part.rows = {{n_experts, 2 * n_ff * n_cols}, {n_ff, turns ? 2 : 1}};
    part.col_stride = 2 * n_ff;
  }
  return one_part(part, Form::slice);
}

// gpt-oss' MXFP4: each row of gate, then its row of up.
Result by_turns(const Place& place, bool is_up) {
  const int64_t n_experts = place.shape.n_experts, n_cols = place.shape.n_cols;
  if (n_experts < 1 || place.n_elements != 2 * place.n_values()) return {};
  const int64_t n_ff = place.shape.n_rows / n_experts;
  return one_part(
      place.part(is_up ? n_cols : 0, {{n_experts, 2 * n_ff * n_cols}, {n_ff, 2 * n_cols}}),
      Form::slice);
}

Result by_columns(const Place& place) {
  if (place.row.experts == CheckpointRow::Fused::rows || place.is_bias) return as_it_is(place);
  if (place.n_elements != place.n_values() || place.shape.n_experts < 1) return {};
  const int64_t n_rows = place.shape.n_rows / place.shape.n_experts;
  return one_part(
      place.part(0, {{place.shape.n_experts, n_rows * place.shape.n_cols}, {n_rows, 1}}, n_rows),
      Form::transposed);
}

// kv_b_proj has for each head rows of keys, then of values, over the latent row (deepseek.py).
Result latent(const Place& place, bool is_key) {
  const LatentConfig& sizes = place.layer().latent;
  const int64_t n_heads = place.shape.n_experts, rank = sizes.rank, n_values = sizes.value_len;
  if (n_heads < 1 || rank < 1 || place.n_elements % (n_heads * rank) != 0) return {};
  const int64_t n_keys = place.n_elements / (n_heads * rank) - n_values;
  if (n_keys < 1 || place.n_values() != n_heads * rank * (is_key ? n_keys : n_values)) return {};
  const int64_t head = (n_keys + n_values) * rank;
  if (is_key) {
    if (place.shape.n_cols != n_keys) return {};
    return one_part(place.part(0, {{n_heads, head}, {rank, 1}}, rank), Form::latent_keys);
  }
  if (place.shape.n_cols != rank) return {};
  return one_part(place.part(n_keys * rank, {{n_heads, head}, {n_values, rank}}),
                  Form::latent_values);
}

// in_proj_qkvz has for each head of keys its query, key, values and gates (qwen.py).
Result delta(const Place& place, bool is_gate) {
  const RecurrentConfig& sizes = place.config.recurrent;
  const int64_t n_heads = sizes.n_groups, n_key = sizes.n_state, n_cols = place.shape.n_cols;
  if (n_heads < 1 || sizes.n_inner % n_heads != 0) return {};
  const int64_t n_value = sizes.n_inner / n_heads;
  const int64_t head = 2 * (n_key + n_value) * n_cols;
  const int64_t n_rows = n_heads * (is_gate ? n_value : 2 * n_key + n_value);
  if (place.n_elements != n_heads * head || place.shape.n_rows != n_rows) return {};
  const auto piece = [&](int64_t first, int64_t n) {
    return place.part(first * n_cols, {{n_heads, head}, {n, n_cols}});
  };
  CheckpointSource source;
  source.form = Form::delta_by_head;
  if (is_gate) {
    source.parts = {piece(2 * n_key + n_value, n_value)};
  } else {
    source.parts = {piece(0, n_key), piece(n_key, n_key), piece(2 * n_key, n_value)};
  }
  return source;
}

}  // namespace

PartShape part_shape(const std::vector<int64_t>& shape) {
  PartShape out;
  if (shape.size() <= 1) {
    out.n_rows = shape.empty() ? 1 : shape[0];
    return out;
  }
  out.n_cols = shape[0];
  for (size_t i = 1; i < shape.size(); ++i) out.n_rows *= shape[i];
  for (size_t i = 2; i < shape.size(); ++i) out.n_experts *= shape[i];
  return out;
}

std::optional<CheckpointSource> lay_out(NameLayout layout, const std::string& name,
                                        int64_t n_elements, const TensorSpec& spec, bool is_bias,
                                        const PartShape& shape, const CheckpointRow& row,
                                        const Config& config) {
  const Place place = {name, n_elements, spec, is_bias, shape, row, config};
  switch (layout) {
    case NameLayout::plain:
      return as_it_is(place);
    case NameLayout::query:
      return rotated(place, true);
    case NameLayout::key:
      return rotated(place, false);
    case NameLayout::qkv:
      return whole_qkv(place);
    case NameLayout::fused_q:
      return of_fused(place, 0);
    case NameLayout::fused_k:
      return of_fused(place, 1);
    case NameLayout::fused_v:
      return of_fused(place, 2);
    case NameLayout::gate_half:
      return half(place, false);
    case NameLayout::up_half:
      return half(place, true);
    case NameLayout::gate_turn:
      return by_turns(place, false);
    case NameLayout::up_turn:
      return by_turns(place, true);
    case NameLayout::down:
      return by_columns(place);
    case NameLayout::latent_keys:
      return latent(place, true);
    case NameLayout::latent_values:
      return latent(place, false);
    case NameLayout::delta_qkv:
      return delta(place, false);
    case NameLayout::delta_gate:
      return delta(place, true);
  }
  return {};
}

}  // namespace crossval
