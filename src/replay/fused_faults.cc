// Hypotheses about operations that torch fuses: a product and its bias, a norm and its weight, and
// the products of one expert.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "replay/causes.h"

namespace crossval {
namespace {

TapTensor of_floats(const TapTensor& like, std::span<const float> values) {
  TapTensor tensor{.name = like.name, .type = GgmlType::F32, .ne = like.ne};
  std::vector<std::byte>& bytes = tensor.data.own();
  bytes.resize(values.size_bytes());
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return tensor;
}

}  // namespace

std::optional<Explanation> CauseFinder::from_fused(const Suspect& suspect) {
  const std::string& op = suspect.expected.op;
  if (op == "MUL_MAT") return from_bias(suspect);
  if (op == "FUSED_RMS_NORM" || op == "FUSED_NORM") return from_one_more(suspect);
  if (op == "MUL_MAT_ID") return from_other_expert(suspect);
  return std::nullopt;
}

// The product is right: all that differs is one number for each column.
std::optional<Explanation> CauseFinder::from_bias(const Suspect& suspect) {
  const auto& sources = suspect.expected.sources;
  if (sources.size() < 3 || !sources[2].is_weight) return std::nullopt;
  Operation hypothesis = suspect.expected;
  hypothesis.sources.resize(2);
  const std::string& name = sources[2].name;
  if (vanishes(hypothesis, suspect)) {
    return Explanation{Cause::bias_missing, name,
                       fmt::format("computed without {} the difference vanishes", name)};
  }
  const Replayed product = replay(hypothesis, suspect.found.out, weights_, pool_);
  const TapValues found(suspect.found.out);
  const auto n = static_cast<size_t>(suspect.found.out.ne[0]);
  if (product.status != ReplayStatus::replayed || product.expected.size() != found.get().size()) {
    return std::nullopt;
  }
  // The bias that the engine seems to have: of its row with the least to round.
  std::vector<float> bias(n);
  const size_t n_rows = product.expected.size() / n;
  for (size_t c = 0; c < n; ++c) {
    double sum = 0;
    for (size_t r = 0; r < n_rows; ++r) {
      sum += double{found.get()[r * n + c]} - product.expected[r * n + c];
    }
    bias[c] = static_cast<float>(sum / static_cast<double>(n_rows));
  }
  if (n_rows < 2) return std::nullopt;
  hypothesis = suspect.expected;
  hypothesis.sources[2] = of_floats(sources[2], bias);
  if (!vanishes(hypothesis, suspect)) return std::nullopt;
  return Explanation{Cause::weights, name,
                     fmt::format("all rows are off by one and the same: {} is another", name)};
}

// Gemma's checkpoints hold what is added to 1; a file holds the sum.
std::optional<Explanation> CauseFinder::from_one_more(const Suspect& suspect) {
  const auto& sources = suspect.expected.sources;
  if (sources.size() < 2 || !sources[1].is_weight) return std::nullopt;
  const TensorView* weight = weights_.find(sources[1].name);
  if (weight == nullptr || weight->type != GgmlType::F32) return std::nullopt;
  for (const float more : {1.0f, -1.0f}) {
    std::vector<float> values(weight->data.size() / sizeof(float));
    std::memcpy(values.data(), weight->data.data(), weight->data.size());
    for (float& value : values) value += more;
    Operation hypothesis = suspect.expected;
    hypothesis.sources[1] = of_floats(sources[1], values);
    if (!vanishes(hypothesis, suspect)) continue;
    return Explanation{Cause::norm_plus_one, sources[1].name,
                       fmt::format("with {} {} 1 the difference vanishes", sources[1].name,
                                   more > 0 ? "plus" : "less")};
  }
  return std::nullopt;
}

std::optional<Explanation> CauseFinder::from_other_expert(const Suspect& suspect) {
  const auto& sources = suspect.expected.sources;
  if (sources.size() < 3 || sources[2].type != GgmlType::I32) return std::nullopt;
  std::vector<int32_t> chosen(sources[2].data.size() / sizeof(int32_t));
  std::memcpy(chosen.data(), sources[2].data.data(), chosen.size() * sizeof(int32_t));
  if (chosen.empty() || !std::ranges::all_of(chosen, [&](int32_t e) { return e == chosen[0]; })) {
    return std::nullopt;
  }
  constexpr int64_t max_experts = 512;
  const int32_t own = chosen[0];
  for (int32_t other = 0; other < std::min(sources[0].ne[2], max_experts); ++other) {
    if (other == own) continue;
    std::ranges::fill(chosen, other);
    Operation hypothesis = suspect.expected;
    std::memcpy(hypothesis.sources[2].data.own().data(), chosen.data(),
                chosen.size() * sizeof(int32_t));
    if (!vanishes(hypothesis, suspect)) continue;
    return Explanation{Cause::experts_swapped, sources[0].name,
                       fmt::format("computed with expert {} of {} instead of {} the difference "
                                   "vanishes",
                                   other, sources[0].name, own)};
  }
  return std::nullopt;
}

}  // namespace crossval
