#include "run/model_diff.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "quant/matmul.h"
#include "run/key_difference.h"
#include "run/low_rank.h"

namespace crossval {
namespace {

using Kind = TensorDifference::Kind;

constexpr int64_t kSampledRows = 64;
constexpr size_t kShownTensors = 8;

// Bounds of the relative distance that rounding to a type makes: 1.3 to 2.4 times what
// ggml_quantize_chunk of llama.cpp v0.5.0 leaves of 512 x 4096 normally distributed weights. A type
// that is not here is not known.
struct TypeError {
  GgmlType type;
  double rel_l2;
};
constexpr auto kTypeErrors = std::to_array<TypeError>({
    {GgmlType::F32, 1e-7},
    {GgmlType::F16, 5e-4},
    {GgmlType::BF16, 3e-3},
    {GgmlType::Q8_0, 7e-3},
    {GgmlType::Q6_K, 0.025},
    {GgmlType::Q5_0, 0.055},
    {GgmlType::Q5_1, 0.05},
    {GgmlType::Q5_K, 0.05},
    {GgmlType::Q4_0, 0.11},
    {GgmlType::Q4_1, 0.1},
    {GgmlType::Q4_K, 0.1},
    {GgmlType::IQ4_NL, 0.1},
    {GgmlType::IQ4_XS, 0.1},
    {GgmlType::Q3_K, 0.2},
    {GgmlType::Q2_K, 0.4},
});

std::optional<double> type_error(GgmlType type) {
  const auto* const found = std::find_if(kTypeErrors.begin(), kTypeErrors.end(),
                                         [&](const TypeError& row) { return row.type == type; });
  return found == kTypeErrors.end() ? std::nullopt : std::optional(found->rel_l2);
}

// One tensor that differs.
struct Found {
  const TensorView* ours = nullptr;
  const TensorView* theirs = nullptr;
  bool differs = false;
  Kind kind = Kind::values;
  std::optional<double> rel_l2;
  bool bears = true;
};

bool same_bytes(const TensorView& a, const TensorView& b) {
  return a.data.size() == b.data.size() &&
         (a.data.empty() || std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0);
}

bool is_decoded(const TensorView& tensor) {
  return find_format(tensor.type) != nullptr && !tensor.shape.empty() && tensor.shape[0] > 0;
}

// Over rows spread evenly, and one that is known to differ.
double distance_of_sample(const WeightView& ours, const WeightView& theirs, int64_t differing_row) {
  std::vector<float> a(static_cast<size_t>(ours.row_len)), b(a.size());
  double difference = 0, power = 0;
  const auto add = [&](int64_t row) {
    get_row(ours, row, a.data());
    get_row(theirs, row, b.data());
    for (size_t i = 0; i < a.size(); ++i) {
      const double d = double{a[i]} - b[i];
      difference += d * d;
      power += double{a[i]} * a[i];
    }
  };
  add(differing_row);
  const int64_t step = std::max<int64_t>(1, ours.n_rows / kSampledRows);
  for (int64_t row = 0; row < ours.n_rows; row += step) add(row);
  return power > 0 ? std::sqrt(difference / power) : INFINITY;
}

// The first row that stands for other values; -1 = none does.
int64_t first_differing_row(const WeightView& ours, const WeightView& theirs) {
  std::vector<float> a(static_cast<size_t>(ours.row_len)), b(a.size());
  for (int64_t row = 0; row < ours.n_rows; ++row) {
    get_row(ours, row, a.data());
    get_row(theirs, row, b.data());
    // Bits and not values: a NaN is the same as itself.
    if (std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) != 0) return row;
  }
  return -1;
}

void compare_stored(Found& found) {
  const TensorView &ours = *found.ours, &theirs = *found.theirs;
  if (ours.shape != theirs.shape) {
    found.differs = true;
    found.kind = Kind::shape;
    return;
  }
  const bool same_type = ours.type == theirs.type && ours.i2_s_layout == theirs.i2_s_layout;
  if (same_type && same_bytes(ours, theirs)) return;
  found.differs = true;
  found.kind = ours.type == theirs.type ? Kind::values : Kind::type;
  if (!is_decoded(ours) || !is_decoded(theirs)) return;
  const WeightView a = weight_view(ours), b = weight_view(theirs);
  const int64_t row = first_differing_row(a, b);
  if (row < 0) {
    found.bears = false;  // other bytes for the same numbers
  } else {
    found.rel_l2 = distance_of_sample(a, b, row);
  }
}

// No engine computes with these.
bool is_unused(const std::string& name) { return name.ends_with(".input_scale"); }

std::vector<Found> tensor_pairs(const ModelFile& engine, const ModelFile& backend) {
  std::vector<Found> pairs;
  const auto add_lonely = [&](const TensorView& tensor, const ModelFile& other, Kind kind) {
    Found& found = pairs.emplace_back();
    (kind == Kind::only_engine ? found.ours : found.theirs) = &tensor;
    found.differs = true;
    found.kind = kind;
    // An output that repeats the embedding says what its absence says.
    const TensorView* tied =
        tensor.name == "output.weight" ? other.find_tensor("token_embd.weight") : nullptr;
    found.bears = !is_unused(tensor.name) &&
                  (tied == nullptr || tied->type != tensor.type || !same_bytes(*tied, tensor));
  };
  for (const TensorView& ours : engine.tensors()) {
    if (const TensorView* theirs = backend.find_tensor(ours.name)) {
      Found& found = pairs.emplace_back();
      found.ours = &ours;
      found.theirs = theirs;
      found.bears = !is_unused(ours.name);
    } else {
      add_lonely(ours, backend, Kind::only_engine);
    }
  }
  for (const TensorView& theirs : backend.tensors()) {
    if (engine.find_tensor(theirs.name) == nullptr) {
      add_lonely(theirs, engine, Kind::only_backend);
    }
  }
  return pairs;
}

std::optional<bool> is_rounding(const Found& found) {
  if (found.kind != Kind::type || !found.rel_l2) return std::nullopt;
  const auto ours = type_error(found.ours->type), theirs = type_error(found.theirs->type);
  if (!ours || !theirs) return std::nullopt;
  return *found.rel_l2 <= 2 * (*ours + *theirs);
}

std::vector<TensorDifference> grouped(const std::vector<Found>& pairs) {
  std::map<std::string, int64_t> of_engine, of_backend;
  for (const Found& pair : pairs) {
    if (pair.ours != nullptr) ++of_engine[std::string(type_name(pair.ours->type))];
    if (pair.theirs != nullptr) ++of_backend[std::string(type_name(pair.theirs->type))];
  }
  using Key = std::tuple<bool, Kind, std::string, std::string, std::optional<bool>>;
  std::map<Key, TensorDifference> groups;
  for (const Found& pair : pairs) {
    if (!pair.differs) continue;
    const std::string ours = pair.ours == nullptr ? "" : std::string(type_name(pair.ours->type));
    const std::string theirs =
        pair.theirs == nullptr ? "" : std::string(type_name(pair.theirs->type));
    TensorDifference& group = groups[{!pair.bears, pair.kind, ours, theirs, is_rounding(pair)}];
    group.kind = pair.kind;
    group.type = ours;
    group.backend_type = theirs;
    group.of = ours.empty() ? of_backend[theirs] : of_engine[ours];
    group.bears = pair.bears;
    group.is_rounding = is_rounding(pair);
    if (pair.rel_l2) group.rel_l2 = std::max(group.rel_l2.value_or(0), *pair.rel_l2);
    if (std::ssize(group.tensors) < static_cast<int64_t>(kShownTensors)) {
      group.tensors.push_back(pair.ours != nullptr ? pair.ours->name : pair.theirs->name);
    }
    ++group.n;
  }
  std::vector<TensorDifference> out;
  out.reserve(groups.size());
  for (auto& [key, group] : groups) out.push_back(std::move(group));
  return out;
}

// Nearly all matrices and norms are other numbers, by more than rounding: training, not a fault.
bool is_other_checkpoint(const std::vector<Found>& pairs) {
  constexpr double moved_by = 1e-3;
  constexpr int64_t n_least = 8;
  int64_t n_both = 0, n_moved = 0;
  for (const Found& pair : pairs) {
    if (pair.ours == nullptr || pair.theirs == nullptr) continue;
    ++n_both;
    n_moved += pair.differs && pair.bears && pair.rel_l2.value_or(0) > moved_by &&
               !is_rounding(pair).value_or(false);
  }
  return n_both >= n_least && n_moved * 10 >= n_both * 8;
}

// The rank of an adapter, where all that moved are two matrices or more, and the first few of them
// moved by one; 0 = it is no such thing.
int adapter_rank(const std::vector<Found>& pairs, ThreadPool& pool) {
  constexpr size_t n_least = 2, n_looked_at = 4;
  std::vector<const Found*> moved;
  for (const Found& pair : pairs) {
    if (!pair.differs || !pair.bears) continue;
    const bool is_matrix = pair.rel_l2 && pair.ours->shape.size() == 2 && pair.ours->shape[1] > 1;
    if (!is_matrix) return 0;
    moved.push_back(&pair);
  }
  if (moved.size() < n_least) return 0;
  std::vector<std::optional<int>> ranks(std::min(moved.size(), n_looked_at));
  pool.run(std::ssize(ranks), [&](int64_t i, int) {
    const auto at = static_cast<size_t>(i);
    ranks[at] = rank_of_move(weight_view(*moved[at]->ours), weight_view(*moved[at]->theirs));
  });
  int largest = 0;
  for (const std::optional<int>& rank : ranks) {
    if (!rank) return 0;
    largest = std::max(largest, *rank);
  }
  return largest;
}

}  // namespace

std::optional<ModelDiff> compare_models(const ModelFile& engine, const ModelFile& backend,
                                        ThreadPool& pool) {
  std::vector<Found> pairs = tensor_pairs(engine, backend);
  pool.run(std::ssize(pairs), [&](int64_t index, int) {
    Found& pair = pairs[static_cast<size_t>(index)];
    if (pair.ours != nullptr && pair.theirs != nullptr) compare_stored(pair);
  });
  ModelDiff diff;
  diff.keys = key_differences(engine, backend);
  diff.tensors = grouped(pairs);
  diff.vocabulary = vocabulary_words(engine, backend);
  diff.chat_template = template_words(engine, backend);
  diff.adapter_rank = adapter_rank(pairs, pool);
  diff.other_checkpoint = diff.adapter_rank == 0 && is_other_checkpoint(pairs);
  return diff.empty() ? std::nullopt : std::optional(std::move(diff));
}

}  // namespace crossval
