#include "conversion/weight_causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace crossval {
namespace {

struct Hypothesis {
  std::string cause;
  CheckpointSource source;
};

// Everything but the first matrices of a checkpoint is in this form: rows one behind the other.
CheckpointSource in_order(const PairedTensor& pair) {
  CheckpointSource source = pair.source;
  source.form = CheckpointForm::as_is;
  if (source.parts.size() != 1) {
    // Parts of one matrix, from its beginning.
    CheckpointPart whole = source.parts.front();
    whole.offset = 0;
    whole.rows = {{pair.tensor->n_elements() / whole.n_cols, whole.n_cols}};
    whole.col_stride = 1;
    source.parts = {whole};
    return source;
  }
  CheckpointPart& part = source.parts.front();
  int64_t first = part.offset;
  // A slice keeps its place.
  part.rows = {{part.n_rows(), part.n_cols}};
  part.offset = first;
  part.col_stride = 1;
  return source;
}

// Hypotheses about numbers.
void add_values(const PairedTensor& pair, std::vector<Hypothesis>& out) {
  const CheckpointSource& own = pair.source;
  if (own.parts.empty()) return;
  CheckpointSource other = own;
  if (own.values == CheckpointValues::plus_one) {
    other.values = CheckpointValues::as_is;
    out.push_back({"one was not added to the norm's weights", other});
    other = own;
    other.also_added = 1;
    out.push_back({"one was added twice to the norm's weights", other});
  } else if (own.values == CheckpointValues::minus_exp) {
    other.values = CheckpointValues::as_is;
    out.push_back({"A_log was stored itself, not -exp(A_log)", other});
  } else if (pair.tensor->shape.size() == 1) {
    other.also_added = 1;
    out.push_back({"one was added to weights that are stored as they are", other});
  }
  if (std::ranges::any_of(own.parts, [](const CheckpointPart& part) { return part.factor != 1; })) {
    other = own;
    for (CheckpointPart& part : other.parts) part.factor = 1;
    out.push_back({"the multiplier of config.json was not folded in", other});
  }
}

// Hypotheses about the order of elements.
void add_orders(const PairedTensor& pair, const ConversionModel& of, std::vector<Hypothesis>& out) {
  const CheckpointSource& own = pair.source;
  if (own.parts.empty()) return;
  const bool is_query_or_key = pair.spec.role == Role::attn_q || pair.spec.role == Role::attn_k;
  if (own.form == CheckpointForm::rotary_halves) {
    out.push_back({"rows of its heads were not reordered (Q/K permutation)", in_order(pair)});
    CheckpointSource back = own;
    std::vector<Axis>& rows = back.parts.front().rows;
    const int64_t n_cols = back.parts.front().n_cols;
    if (rows.size() == 3) {
      rows[2] = {rows[1].count, 2 * n_cols};
      rows[1] = {2, n_cols};
      out.push_back({"rows of its heads were reordered the other way round", back});
    }
  } else if (is_query_or_key) {
    CheckpointRow row = of.row;
    row.rotary_halves = true;
    auto turned =
        checkpoint_source(pair.spec, pair.is_bias, pair.tensor->shape, row, of.config, of.facts);
    if (turned) {
      out.push_back({"rows of its heads were reordered, which this architecture's are not",
                     std::move(*turned)});
    }
  }
  if (own.form == CheckpointForm::transposed) {
    out.push_back({"it was not transposed", in_order(pair)});
  }
  const CheckpointPart& part = own.parts.front();
  if (own.form == CheckpointForm::as_is && own.parts.size() == 1 && part.n_cols > 1) {
    CheckpointSource turned = own;
    const int64_t n_rows = part.n_rows();
    turned.parts.front().rows = {{n_rows, 1}};
    turned.parts.front().col_stride = n_rows;
    out.push_back({"it was transposed", std::move(turned)});
  }
  if (own.form == CheckpointForm::qkv_by_head || own.form == CheckpointForm::qkv_by_group ||
      own.form == CheckpointForm::delta_by_head) {
    out.push_back({"queries, keys and values of each head were not parted", in_order(pair)});
  }
  if (own.parts.size() == 3 && own.form != CheckpointForm::as_is) {
    std::array<size_t, 3> order = {0, 1, 2};
    while (std::ranges::next_permutation(order).found) {
      CheckpointSource mixed = own;
      for (size_t i = 0; i < 3; ++i) mixed.parts[i] = own.parts[order[i]];
      out.push_back({"queries, keys and values stand in another order", std::move(mixed)});
    }
  }
}

// Another tensor's values: of another layer, or for something else.
std::optional<WeightCause> find_other_tensor(const PairedTensor& pair,
                                             const std::vector<PairedTensor>& all,
                                             const ConversionModel& of, ThreadPool& pool) {
  std::vector<const PairedTensor*> others;
  for (const PairedTensor& other : all) {
    if (&other != &pair && other.tensor->n_elements() == pair.tensor->n_elements() &&
        !other.source.parts.empty()) {
      others.push_back(&other);
    }
  }
  std::ranges::stable_sort(others, {}, [&](const PairedTensor* other) {
    return other->spec.role == pair.spec.role && other->is_bias == pair.is_bias ? 0 : 1;
  });
  for (const PairedTensor* other : others) {
    if (!is_source(*pair.tensor, other->source, of.checkpoint, pool)) continue;
    const bool is_same = other->spec.role == pair.spec.role && other->is_bias == pair.is_bias;
    return WeightCause{is_same ? fmt::format("it is that of layer {}", other->spec.layer)
                               : fmt::format("it is {} instead", other->tensor->name),
                       other->source_name()};
  }
  return {};
}

// Experts that stand in each other's place.
std::optional<WeightCause> find_exchanged_experts(const PairedTensor& pair,
                                                  const ConversionModel& of, ThreadPool& pool) {
  if (pair.tensor->shape.size() < 3 || pair.source.parts.empty()) return {};
  const int64_t n_experts = pair.tensor->shape[2];
  if (n_experts < 2 || n_experts > 1024) return {};
  std::vector<int64_t> order(static_cast<size_t>(n_experts));
  TensorView one = *pair.tensor;
  one.shape[2] = 1;
  const size_t n_bytes = pair.tensor->data.size() / static_cast<size_t>(n_experts);
  const int64_t n_elements = pair.tensor->n_elements() / n_experts;
  for (int64_t expert = 0; expert < n_experts; ++expert) {
    one.data = pair.tensor->data.subspan(static_cast<size_t>(expert) * n_bytes, n_bytes);
    const auto matches = [&](int64_t candidate) {
      return is_source(one, pair.source, of.checkpoint, pool,
                       {.first_source = candidate * n_elements, .is_part = true});
    };
    int64_t found = -1;
    if (matches(expert)) found = expert;
    for (int64_t other = 0; found < 0 && other < n_experts; ++other) {
      if (other != expert && matches(other)) found = other;
    }
    if (found < 0) return {};
    order[static_cast<size_t>(expert)] = found;
  }
  std::string moved;
  for (int64_t expert = 0; expert < n_experts; ++expert) {
    const int64_t from = order[static_cast<size_t>(expert)];
    if (from == expert || moved.size() > 100) continue;
    moved += fmt::format("{}{} has {}", moved.empty() ? "" : ", ", expert, from);
  }
  if (moved.empty()) return {};
  return WeightCause{fmt::format("experts were exchanged: number {}", moved), pair.source_name()};
}

// All values times one number, or none at all.
std::optional<WeightCause> find_factor(const PairedTensor& pair, const ConversionModel& of,
                                       ThreadPool& pool) {
  const Format* format = find_format(pair.tensor->type);
  const ElementSource elements(pair.source, of.checkpoint);
  if (format == nullptr || format->rows_together != 1 || !elements.is_valid()) return {};
  const int64_t row_len = pair.tensor->shape[0], n_rows = pair.tensor->n_rows();
  std::vector<float> got(static_cast<size_t>(row_len)), x(got.size());
  double product = 0, square = 0, own = 0;
  const int64_t row_bytes = row_len / format->block_len * format->block_bytes;
  for (int64_t i = 0; i < std::min<int64_t>(n_rows, 64); ++i) {
    const int64_t row = i * n_rows / std::min<int64_t>(n_rows, 64);
    format->dequantize(pair.tensor->data.data() + row * row_bytes, row_len, got.data());
    elements.read(row * row_len, row_len, x.data());
    for (size_t j = 0; j < x.size(); ++j) {
      product += double{got[j]} * x[j];
      square += double{x[j]} * x[j];
      own += double{got[j]} * got[j];
    }
  }
  if (own == 0) return WeightCause{"all its weights are zero", ""};
  if (!(square > 0) || pair.source.parts.empty()) return {};
  const auto factor = static_cast<float>(product / square);
  if (!(std::abs(factor - 1) > 1e-3f)) return {};
  CheckpointSource scaled = pair.source;
  for (CheckpointPart& part : scaled.parts) part.factor *= factor;
  // The factor itself is an estimate: of numbers that people choose the nearest is meant.
  for (const float chosen :
       {std::round(factor * 64) / 64, 1 / (std::round(64 / factor) / 64), factor}) {
    CheckpointSource tried = pair.source;
    for (CheckpointPart& part : tried.parts) part.factor *= chosen;
    if (std::isfinite(chosen) && chosen != 0 &&
        is_source(*pair.tensor, tried, of.checkpoint, pool)) {
      return WeightCause{fmt::format("it was multiplied with {:.6g}", chosen), ""};
    }
  }
  return {};
}

}  // namespace

WeightCause find_weight_cause(const PairedTensor& pair, const std::vector<PairedTensor>& all,
                              const ConversionModel& of, ThreadPool& pool) {
  std::vector<Hypothesis> hypotheses;
  add_values(pair, hypotheses);
  add_orders(pair, of, hypotheses);
  for (const Hypothesis& hypothesis : hypotheses) {
    if (is_source(*pair.tensor, hypothesis.source, of.checkpoint, pool)) {
      return {hypothesis.cause, pair.source_name()};
    }
  }
  const bool is_square =
      pair.tensor->shape.size() == 2 && pair.tensor->shape[0] == pair.tensor->shape[1];
  if (is_square && is_source(*pair.tensor, pair.source, of.checkpoint, pool, {.is_turned = true})) {
    return {"it was transposed", pair.source_name()};
  }
  if (auto cause = find_exchanged_experts(pair, of, pool)) return *cause;
  if (auto cause = find_other_tensor(pair, all, of, pool)) return *cause;
  if (auto cause = find_factor(pair, of, pool)) return *cause;
  return {};
}

}  // namespace crossval
