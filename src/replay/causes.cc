#include "replay/causes.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>

#include "replay/weight_diff.h"

namespace crossval {
namespace {

// A hypothesis counts when the error passes as rounding, or when next to nothing is left of it
// (weights that a hypothesis builds are not always rounded as the engine's are).
constexpr double kVanished = 0.02;

const TapTensor* weight_of(const Operation& operation) {
  for (const TapTensor& source : operation.sources) {
    if (source.is_weight) return &source;
  }
  return nullptr;
}

}  // namespace

CauseFinder::CauseFinder(std::shared_ptr<const ModelFile> model,
                         std::shared_ptr<const ModelFile> engine_model, WeightSource& weights,
                         ThreadPool& pool)
    : model_(std::move(model)),
      engine_model_(std::move(engine_model)),
      weights_(weights),
      pool_(pool) {
  const std::string arch = model_->architecture();
  const int64_t n_heads = model_->get_int(arch + ".attention.head_count").value_or(0);
  const int64_t n_embd = model_->get_int(arch + ".embedding_length").value_or(0);
  const int64_t dim =
      model_->get_int(arch + ".attention.key_length").value_or(n_heads > 0 ? n_embd / n_heads : 0);
  head_dim_ = dim > 0 && dim < 1 << 16 ? static_cast<int>(dim) : 0;
}

bool CauseFinder::vanishes(const Operation& operation, const Suspect& suspect) {
  const Replayed& before = suspect.replayed;
  const Replayed after = replay(operation, suspect.found.out, weights_, pool_);
  if (after.status != ReplayStatus::replayed || after.n_born > 0 || after.n_lost > 0) return false;
  return after.ratio <= 1 ||
         (std::isfinite(before.rel_l2) && after.rel_l2 < kVanished * before.rel_l2 &&
          after.ratio < kVanished * before.ratio);
}

Explanation CauseFinder::explain(const Suspect& suspect) {
  if (auto found = from_parameters(suspect)) return *found;
  if (auto found = from_files(suspect)) return *found;
  if (auto found = from_values(suspect)) return *found;
  return unexplained(suspect);
}

// What the graph says it does, is not what the file says: confirmed by computing it that way.
std::optional<Explanation> CauseFinder::from_parameters(const Suspect& suspect) {
  if (suspect.faults.empty()) return std::nullopt;
  const Replayed as_found = replay(suspect.found, weights_, pool_);
  std::string all;
  for (const ParameterFault& fault : suspect.faults) {
    all += fmt::format("{}{} is {} in the engine's graph, the model file says {}",
                       all.empty() ? "" : "; ", fault.what, fault.found, fault.expected);
  }
  if (as_found.status == ReplayStatus::replayed && as_found.ratio <= 1) {
    all += "; computed that way the difference vanishes";
  }
  return Explanation{suspect.faults.front().cause, "", all};
}

// The engine read another file: whether that file's weight explains it, and how it differs.
std::optional<Explanation> CauseFinder::from_files(const Suspect& suspect) {
  if (!engine_model_) return std::nullopt;
  for (const TapTensor& source : suspect.expected.sources) {
    if (!source.is_weight) continue;
    const TensorView* ours = model_->find_tensor(source.name);
    const TensorView* theirs = engine_model_->find_tensor(source.name);
    if (ours == nullptr || theirs == nullptr) continue;
    const auto difference = describe_difference(*ours, *theirs, *model_, head_dim_);
    if (!difference) continue;
    weights_.substitute(source.name, *theirs);
    const bool explains =
        vanishes(suspect.expected, suspect) ||
        // NaN in the file gives NaN here and there.
        (suspect.replayed.n_born > 0 &&
         replay(suspect.expected, suspect.found.out, weights_, pool_).n_born == 0);
    weights_.restore(source.name);
    if (!explains) continue;
    return Explanation{
        difference->cause, source.name,
        fmt::format("{} is not the same in the engine's model: {}", source.name, difference->text)};
  }
  return std::nullopt;
}

std::optional<Explanation> CauseFinder::from_values(const Suspect& suspect) {
  const TapTensor* weight = weight_of(suspect.expected);
  if (auto found = from_kernels(suspect)) return found;
  if (auto found = from_parameter_fits(suspect)) return found;
  if (auto found = from_other_ops(suspect)) return found;
  if (auto found = from_fused(suspect)) return found;
  if (weight != nullptr) {
    if (auto found = from_other_weights(suspect, *weight)) return found;
  }
  const TapValues of_found(suspect.found.out);
  const std::span<const float> observed = of_found.get();
  if (observed.empty() || observed.size() != suspect.replayed.expected.size()) return std::nullopt;
  auto found =
      explain_values(suspect.replayed.expected, observed, suspect.found.out.ne[0], head_dim_);
  if (!found) return found;
  if (weight != nullptr) found->weight = weight->name;
  // A few wrong columns of a product are rows of its weight; elsewhere nothing but the operation
  // itself can have spoilt them.
  const bool by_column = weight != nullptr && suspect.expected.op != "ROPE";
  if (!by_column && (found->cause == Cause::damaged_row || found->cause == Cause::zero_row)) {
    found->cause = Cause::kernel;
  }
  return found;
}

// Another tensor of the file in the weight's place.
std::optional<Explanation> CauseFinder::from_other_weights(const Suspect& suspect,
                                                           const TapTensor& weight) {
  const TensorView* ours = model_->find_tensor(weight.name);
  if (ours == nullptr) return std::nullopt;
  // The same layer first, then the same role elsewhere; a handful of the rest.
  std::vector<const TensorView*> candidates;
  const std::string layer = weight.name.substr(0, weight.name.find('.', 4) + 1);
  const std::string role = weight.name.substr(layer.size());
  for (const TensorView& tensor : model_->tensors()) {
    if (tensor.shape == ours->shape && tensor.name != weight.name) candidates.push_back(&tensor);
  }
  std::stable_sort(candidates.begin(), candidates.end(), [&](const auto* a, const auto* b) {
    const auto rank = [&](const std::string& name) {
      return name.starts_with(layer) ? 0 : name.ends_with(role) ? 1 : 2;
    };
    return rank(a->name) < rank(b->name);
  });
  constexpr size_t max_candidates = 64;
  if (candidates.size() > max_candidates) candidates.resize(max_candidates);
  for (const TensorView* candidate : candidates) {
    weights_.substitute(weight.name, *candidate);
    const bool fits = vanishes(suspect.expected, suspect);
    weights_.restore(weight.name);
    if (!fits) continue;
    const bool same_layer = candidate->name.starts_with(layer);
    const bool ffn = role.starts_with("ffn_gate") || role.starts_with("ffn_up");
    const Cause cause = !same_layer && candidate->name.ends_with(role) ? Cause::other_layer
                        : same_layer && ffn                            ? Cause::gate_up_swapped
                        : same_layer && role.starts_with("attn_")      ? Cause::qkv_swapped
                                                                       : Cause::other_weight;
    return Explanation{cause, weight.name,
                       fmt::format("computed with {} instead of {} the difference vanishes",
                                   candidate->name, weight.name)};
  }
  return std::nullopt;
}

// Another activation, or the operands of a product exchanged.
std::optional<Explanation> CauseFinder::from_other_ops(const Suspect& suspect) {
  static constexpr const char* unary[] = {"SILU",       "GELU", "GELU_ERF",
                                          "GELU_QUICK", "RELU", "RELU_SQUARED"};
  static constexpr const char* glus[] = {"SWIGLU",      "GEGLU", "GEGLU_ERF",
                                         "GEGLU_QUICK", "REGLU", "RELU_SQUARED_GLU"};
  const auto among = [&](const auto& names) -> std::optional<Explanation> {
    const std::string& op = suspect.expected.op;
    if (std::find(std::begin(names), std::end(names), op) == std::end(names)) return std::nullopt;
    Operation hypothesis = suspect.expected;
    for (const char* name : names) {
      hypothesis.op = name;
      if (op != name && vanishes(hypothesis, suspect)) {
        return Explanation{Cause::activation, "",
                           fmt::format("{} instead of {}: computed that way the difference "
                                       "vanishes",
                                       name, op)};
      }
    }
    if (hypothesis.sources.size() == 2 && hypothesis.sources[1].ne[0] > 0) {
      hypothesis = suspect.expected;
      std::swap(hypothesis.sources[0], hypothesis.sources[1]);
      if (vanishes(hypothesis, suspect)) {
        return Explanation{Cause::gate_up_swapped, "",
                           "the activation acts on the up projection instead of the gate: computed "
                           "that way the difference vanishes"};
      }
    }
    return std::nullopt;
  };
  if (auto found = among(unary)) return found;
  return among(glus);
}

// The graph claims the right parameter, the numbers fit another one.
std::optional<Explanation> CauseFinder::from_parameter_fits(const Suspect& suspect) {
  struct Try {
    std::string_view op;
    size_t index;
    Cause cause;
    const char* what;
    std::vector<float> values;
  };
  const float head = static_cast<float>(std::max(head_dim_, 1));
  const std::vector<float> scales = {1.0f, 1.0f / head, 1.0f / std::sqrt(2 * head),
                                     std::sqrt(head)};
  const std::vector<float> eps = {0.0f, 1e-12f, 1e-8f, 1e-7f, 1e-6f, 1e-5f, 1e-4f, 1e-3f};
  const std::vector<float> bases = {1000.0f, 10000.0f, 100000.0f, 500000.0f, 1000000.0f};
  const Try tries[] = {
      {"RMS_NORM", 0, Cause::rms_eps, "rms eps", eps},
      {"NORM", 0, Cause::rms_eps, "norm eps", eps},
      {"FUSED_RMS_NORM", 0, Cause::rms_eps, "rms eps", eps},
      {"FUSED_NORM", 0, Cause::rms_eps, "norm eps", eps},
      {"SOFT_MAX", 0, Cause::attention_scale, "attention scale", scales},
      {"FLASH_ATTN_EXT", 0, Cause::attention_scale, "attention scale", scales},
      {"ROPE", 5, Cause::rope_base, "rope base", bases},
  };
  Operation hypothesis = suspect.expected;
  for (const Try& row : tries) {
    if (suspect.expected.op != row.op) continue;
    for (const float value : row.values) {
      hypothesis.params[row.index] = std::bit_cast<int32_t>(value);
      if (hypothesis.params[row.index] != suspect.expected.params[row.index] &&
          vanishes(hypothesis, suspect)) {
        return Explanation{
            row.cause, "",
            fmt::format("computed with {} {:.6g} instead of {:.6g} the difference "
                        "vanishes",
                        row.what, value, std::bit_cast<float>(suspect.expected.params[row.index]))};
      }
    }
    hypothesis.params[row.index] = suspect.expected.params[row.index];
  }
  if (suspect.expected.op == "ROPE") {
    constexpr size_t mode = 2, n_dims = 1;
    hypothesis.params[mode] = suspect.expected.params[mode] == 0 ? 2 : 0;
    if (vanishes(hypothesis, suspect)) {
      return Explanation{Cause::rope_style, "",
                         "rotated in the other style (halves against adjacent pairs): computed "
                         "that way the difference vanishes"};
    }
    hypothesis = suspect.expected;
    hypothesis.params[n_dims] /= 2;
    if (hypothesis.params[n_dims] % 2 == 0 && vanishes(hypothesis, suspect)) {
      return Explanation{Cause::rope_dims, "",
                         "half as many dimensions are rotated: computed that way the difference "
                         "vanishes"};
    }
    if (suspect.expected.sources.size() > 2 && suspect.expected.sources[2].ne[0] > 0) {
      hypothesis = suspect.expected;
      hypothesis.sources.resize(2);
      if (vanishes(hypothesis, suspect)) {
        return Explanation{Cause::rope_freqs, "",
                           "the frequency factors are not applied: computed without them the "
                           "difference vanishes"};
      }
    }
  }
  return std::nullopt;
}

Explanation CauseFinder::unexplained(const Suspect& suspect) {
  const TapTensor* weight = weight_of(suspect.expected);
  const Replayed& replayed = suspect.replayed;
  Explanation explanation;
  explanation.weight = weight != nullptr ? weight->name : "";
  if (replayed.n_born > 0) {
    explanation.cause = Cause::nan_born;
    explanation.sentence = fmt::format(
        "{} values are NaN or Inf here, while all that goes into the operation is finite",
        replayed.n_born);
    return explanation;
  }
  explanation.cause = Cause::kernel;
  explanation.sentence = fmt::format(
      "the {} operation itself gives other numbers than its inputs{} call for; no known mistake "
      "fits",
      suspect.found.op, weight != nullptr ? " and " + weight->name : "");
  return explanation;
}

}  // namespace crossval
