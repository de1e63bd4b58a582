#include "replay/weight_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "quant/matmul.h"
#include "replay/block_diff.h"

namespace crossval {
namespace {

// Requantising moves weights by some per cent: so near they count as the same.
constexpr double kNear = 0.15;
// A matrix larger than this is not held twice to look for a transposition.
constexpr int64_t kMaxHeldElements = int64_t{1} << 26;

using Row = std::vector<float>;

class Rows {
 public:
  explicit Rows(const TensorView& tensor) : view_(weight_view(tensor)) {}
  int64_t size() const { return view_.n_rows; }
  int64_t length() const { return view_.row_len; }
  const Format& format() const { return *view_.format; }
  void read(int64_t row, Row& out) const {
    out.resize(static_cast<size_t>(view_.row_len));
    get_row(view_, row, out.data());
  }

 private:
  WeightView view_;
};

uint64_t hash_of(const Row& row) {
  return std::hash<std::string_view>{}(
      {reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)});
}

bool same(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

double relative_distance(const Row& a, const Row& b) {
  double difference = 0, power = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (double{a[i]} - b[i]) * (double{a[i]} - b[i]);
    power += double{a[i]} * a[i];
  }
  return power > 0 ? std::sqrt(difference / power) : difference > 0 ? INFINITY : 0;
}

// What one pass over both finds.
struct Census {
  int64_t n_values = 0, n_rows = 0;
  int64_t first_row = -1, last_row = -1;
  int64_t first_column = std::numeric_limits<int64_t>::max(), last_column = -1;
  int64_t n_non_finite = 0;
  int64_t n_zero_rows = 0;  // zero in theirs, not in ours
  double ours2 = 0, theirs2 = 0, cross = 0;
  double min_shift = INFINITY, max_shift = -INFINITY;
};

Census take_census(const Rows& ours, const Rows& theirs) {
  Census census;
  Row a, b;
  for (int64_t r = 0; r < ours.size(); ++r) {
    ours.read(r, a);
    theirs.read(r, b);
    int64_t n_differ = 0;
    bool zero = true, was_zero = true;
    for (size_t c = 0; c < a.size(); ++c) {
      census.ours2 += double{a[c]} * a[c];
      census.theirs2 += double{b[c]} * b[c];
      census.cross += double{a[c]} * b[c];
      zero = zero && b[c] == 0;
      was_zero = was_zero && a[c] == 0;
      const double shift = double{b[c]} - a[c];
      census.min_shift = std::min(census.min_shift, shift);
      census.max_shift = std::max(census.max_shift, shift);
      if (same(a[c], b[c])) continue;
      ++n_differ;
      census.n_non_finite += !std::isfinite(b[c]);
      census.first_column = std::min(census.first_column, static_cast<int64_t>(c));
      census.last_column = std::max(census.last_column, static_cast<int64_t>(c));
    }
    if (n_differ == 0) continue;
    census.n_values += n_differ;
    ++census.n_rows;
    if (census.first_row < 0) census.first_row = r;
    census.last_row = r;
    census.n_zero_rows += zero && !was_zero;
  }
  return census;
}

// "attn_q" of "blk.3.attn_q.weight"; the layer is -1 for tensors outside the layers.
std::string role_of(const std::string& name, int& layer) {
  layer = -1;
  if (!name.starts_with("blk.")) return name;
  const size_t dot = name.find('.', 4);
  if (dot == std::string::npos) return name;
  layer = std::atoi(name.c_str() + 4);
  return name.substr(dot + 1);
}

Cause cause_of_other(const std::string& name, const std::string& other) {
  int layer = 0, other_layer = 0;
  const std::string role = role_of(name, layer), other_role = role_of(other, other_layer);
  if (role == other_role && layer != other_layer) return Cause::other_layer;
  const auto is = [](const std::string& r, std::string_view a) { return r.starts_with(a); };
  const auto is_ffn = [&](const std::string& r) { return is(r, "ffn_gate") || is(r, "ffn_up"); };
  const auto is_qkv = [&](const std::string& r) {
    return is(r, "attn_q.") || is(r, "attn_k.") || is(r, "attn_v.");
  };
  if (layer == other_layer && is_ffn(role) && is_ffn(other_role)) return Cause::gate_up_swapped;
  if (layer == other_layer && is_qkv(role) && is_qkv(other_role)) return Cause::qkv_swapped;
  return Cause::other_weight;
}

// Theirs is another tensor of our file.
std::optional<WeightDifference> find_elsewhere(const TensorView& ours, const Rows& theirs,
                                               const ModelFile& model) {
  Row a, b;
  const int64_t n = theirs.size();
  for (const TensorView& candidate : model.tensors()) {
    if (candidate.name == ours.name || candidate.shape != ours.shape ||
        find_format(candidate.type) == nullptr) {
      continue;
    }
    const Rows rows(candidate);
    bool alike = true;
    for (const int64_t r : {int64_t{0}, n / 3, n / 2, n - 1}) {
      rows.read(r, a);
      theirs.read(r, b);
      // A norm may be near another one's by nature: only requantised matrices get the margin.
      alike = alike && relative_distance(a, b) <= (n > 1 ? kNear : 1e-3);
    }
    if (alike) {
      return WeightDifference{cause_of_other(ours.name, candidate.name),
                              fmt::format("it holds what {} is in the model file", candidate.name),
                              ours.n_elements(), -1};
    }
  }
  return std::nullopt;
}

// The same rows in another order.
std::optional<WeightDifference> find_permutation(const Rows& ours, const Rows& theirs, int head_dim,
                                                 int64_t expert_rows) {
  const int64_t n = ours.size();
  if (n < 2) return std::nullopt;
  std::unordered_map<uint64_t, std::vector<int64_t>> places;
  Row row;
  for (int64_t r = n; r-- > 0;) {
    ours.read(r, row);
    places[hash_of(row)].push_back(r);
  }
  std::vector<int64_t> from(static_cast<size_t>(n));
  for (int64_t r = 0; r < n; ++r) {
    theirs.read(r, row);
    const auto found = places.find(hash_of(row));
    if (found == places.end() || found->second.empty()) return std::nullopt;
    from[static_cast<size_t>(r)] = found->second.back();
    found->second.pop_back();
  }
  WeightDifference difference{Cause::rows_permuted, "its rows are in another order", 0, -1};
  for (int64_t r = 0; r < n && difference.first_row < 0; ++r) {
    if (from[static_cast<size_t>(r)] != r) difference.first_row = r;
  }
  if (expert_rows > 1) {
    bool whole_experts = true;
    for (int64_t r = 0; r < n; ++r) {
      whole_experts =
          whole_experts && from[static_cast<size_t>(r)] % expert_rows == r % expert_rows;
    }
    if (!whole_experts) return difference;
    const int64_t at = difference.first_row / expert_rows;
    difference.cause = Cause::experts_swapped;
    difference.text =
        fmt::format("its experts are in another order: where expert {} should be is {}", at,
                    from[static_cast<size_t>(at * expert_rows)] / expert_rows);
    return difference;
  }
  if (head_dim <= 1 || n % head_dim != 0 || head_dim % 2 != 0) return difference;
  // Conversion turns rows for adjacent pairs into rows for halves, or back (convert_hf_to_gguf.py,
  // `permute`): row 2i (+1) of a head <-> row i (+ half).
  const int64_t half = head_dim / 2;
  bool to_pairs = true, to_halves = true, whole_heads = true;
  for (int64_t r = 0; r < n; ++r) {
    const int64_t source = from[static_cast<size_t>(r)], in_head = r % head_dim;
    const int64_t head = r - in_head;
    to_pairs = to_pairs && source == head + (in_head % 2) * half + in_head / 2;
    to_halves = to_halves && source == head + (in_head % half) * 2 + in_head / half;
    whole_heads = whole_heads && source % head_dim == in_head &&
                  source - in_head == from[static_cast<size_t>(head)];
  }
  if (to_pairs || to_halves) {
    difference.cause = Cause::heads_permuted;
    difference.text =
        fmt::format("the rows of each head are permuted from rotation in {} to rotation in {}",
                    to_pairs ? "halves (neox)" : "adjacent pairs (norm)",
                    to_pairs ? "adjacent pairs (norm)" : "halves (neox)");
  } else if (whole_heads) {
    const int64_t at = difference.first_row / head_dim;
    difference.cause = Cause::heads_swapped;
    difference.text = fmt::format("its heads are in another order: where head {} should be is {}",
                                  at, from[static_cast<size_t>(at * head_dim)] / head_dim);
  }
  return difference;
}

bool is_transposed(const Rows& ours, const Rows& theirs) {
  const int64_t n = ours.size();
  if (n < 2 || n != ours.length() || n * n > kMaxHeldElements) return false;
  std::vector<float> all(static_cast<size_t>(n * n));
  Row row;
  for (int64_t r = 0; r < n; ++r) {
    ours.read(r, row);
    for (int64_t c = 0; c < n; ++c) {
      all[static_cast<size_t>(c * n + r)] = row[static_cast<size_t>(c)];
    }
  }
  double difference = 0, power = 0;
  for (int64_t r = 0; r < n; ++r) {
    theirs.read(r, row);
    for (int64_t c = 0; c < n; ++c) {
      const double value = all[static_cast<size_t>(r * n + c)];
      difference += (value - row[static_cast<size_t>(c)]) * (value - row[static_cast<size_t>(c)]);
      power += value * value;
    }
  }
  return difference <= kNear * kNear * power;
}

WeightDifference one_place(const Census& census, const Rows& ours, const TensorView& tensor) {
  const int64_t width = ours.length();
  const int block_len = std::max(ours.format().block_len, 1);
  const int64_t block = census.first_column / block_len;
  const std::string where =
      ours.size() > 1 ? fmt::format("row {}", census.first_row) : "its values";
  if (census.n_zero_rows == census.n_rows && ours.size() > 1) {
    return {Cause::zero_row, fmt::format("{} is all zero", where), census.n_values,
            census.first_row};
  }
  const std::string bad = census.n_non_finite > 0 ? " (NaN or Inf)" : "";
  if (block_len > 1 && census.last_column / block_len == block) {
    return {Cause::damaged_block,
            fmt::format("{}, block {} (weights {} to {}): {} of {} weights differ{}", where, block,
                        block * block_len, (block + 1) * block_len - 1, census.n_values, block_len,
                        bad),
            census.n_values, census.first_row};
  }
  if (census.n_values == 1) {
    return {Cause::damaged_block,
            fmt::format("{}, one weight of {}, at {}, differs{}", where, tensor.n_elements(),
                        census.first_column, bad),
            1, census.first_row};
  }
  return {Cause::damaged_row,
          fmt::format("{}: {} of {} weights differ, from {} to {}{}", where, census.n_values, width,
                      census.first_column, census.last_column, bad),
          census.n_values, census.first_row};
}

}  // namespace

std::optional<WeightDifference> describe_difference(const TensorView& ours,
                                                    const TensorView& theirs,
                                                    const ModelFile& model, int head_dim) {
  if (ours.shape != theirs.shape) {
    return WeightDifference{Cause::weights, "it has another shape", ours.n_elements(), -1};
  }
  if (find_format(ours.type) == nullptr || find_format(theirs.type) == nullptr) return std::nullopt;
  const Rows a(ours), b(theirs);
  const Census census = take_census(a, b);
  if (census.n_values == 0) return std::nullopt;
  if (census.theirs2 == 0 && ours.name.ends_with(".bias")) {
    return WeightDifference{Cause::bias_missing, "it is all zero", census.n_values, -1};
  }
  if (census.n_rows == 1 &&
      (a.size() > 1 || census.n_values <= std::max<int64_t>(a.length() / 4, 1))) {
    return one_place(census, a, ours);
  }
  if (census.n_zero_rows == census.n_rows && a.size() > 1) {
    return WeightDifference{
        Cause::zero_row,
        fmt::format("{} rows are all zero, the first is row {}", census.n_rows, census.first_row),
        census.n_values, census.first_row};
  }
  if (a.size() == 1 && std::abs(census.min_shift - 1) < 1e-4 &&
      std::abs(census.max_shift - 1) < 1e-4) {
    return WeightDifference{Cause::norm_plus_one, "1 is added to every value", census.n_values, -1};
  }
  const int64_t expert_rows = ours.shape.size() == 3 ? ours.shape[1] : 0;
  if (auto permuted = find_permutation(a, b, head_dim, expert_rows)) {
    permuted->n_values = census.n_values;
    return permuted;
  }
  // theirs = factor * ours, what is left being small beside the difference itself.
  const double factor = census.ours2 > 0 ? census.cross / census.ours2 : 0;
  const double difference2 = census.ours2 + census.theirs2 - 2 * census.cross;
  const double left2 = census.theirs2 - factor * census.cross;
  if (std::isfinite(factor) && census.n_values > a.length() * a.size() / 2 && factor != 0 &&
      left2 < 0.25 * difference2 && left2 < kNear * kNear * census.theirs2) {
    return WeightDifference{Cause::scaled, fmt::format("it is scaled by {:.6g}", factor),
                            census.n_values, -1};
  }
  if (auto blocks = describe_blocks(ours, theirs)) {
    blocks->n_values = census.n_values;
    return blocks;
  }
  if (auto other = find_elsewhere(ours, b, model)) return other;
  if (is_transposed(a, b)) {
    return WeightDifference{Cause::transposed, "it is transposed", census.n_values, -1};
  }
  if (census.n_rows * 4 <= a.size()) {
    return WeightDifference{Cause::damaged_row,
                            fmt::format("{} rows differ ({} weights), the first is row {}",
                                        census.n_rows, census.n_values, census.first_row),
                            census.n_values, census.first_row};
  }
  const double distance = census.ours2 > 0 ? std::sqrt(difference2 / census.ours2) : INFINITY;
  return WeightDifference{
      Cause::weights,
      fmt::format("{} of {} values differ, relative distance {:.2g}{}", census.n_values,
                  ours.n_elements(), distance,
                  distance < kNear ? ": other rounding of the same weights, such as another "
                                     "quantisation"
                                   : ""),
      census.n_values, -1};
}

}  // namespace crossval
