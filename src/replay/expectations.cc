#include "replay/expectations.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "arch/archs.h"
#include "arch/tensors.h"
#include "base/error.h"
#include "replay/expect_parameter.h"
#include "replay/replay.h"

namespace crossval {
namespace {

// Positions of parameters in ggml_tensor::op_params (ggml.c: ggml_rope_impl, ggml_norm_impl); the
// same since 2024.
constexpr size_t kRopeNDims = 1, kRopeMode = 2, kRopeOriginal = 4, kRopeFreqBase = 5,
                 kRopeFreqScale = 6, kRopeExtFactor = 7, kRopeAttnFactor = 8, kRopeBetaFast = 9,
                 kRopeBetaSlow = 10, kRopeSections = 11;
constexpr size_t kNormEps = 0;
constexpr int32_t kModeNorm = 0, kModeNeox = 2, kModeMulti = 8,
                  kModeInterleaved = 40;  // GGML_ROPE_TYPE_*

int32_t mode_of(RopeStyle style) {
  if (style == RopeStyle::multi) return kModeMulti;
  if (style == RopeStyle::interleaved) return kModeInterleaved;
  return style == RopeStyle::norm ? kModeNorm : kModeNeox;
}

// I32 values of a source, made what they should be.
void expect_ids(TapTensor& tensor, std::span<const int32_t> expected, Cause cause, const char* what,
                std::vector<ParameterFault>& faults) {
  if (tensor.type != GgmlType::I32 || tensor.data.size() != expected.size_bytes()) return;
  if (std::memcmp(tensor.data.data(), expected.data(), expected.size_bytes()) == 0) return;
  size_t at = 0;
  int32_t found = 0;
  for (;; ++at) {
    std::memcpy(&found, tensor.data.data() + at * sizeof found, sizeof found);
    if (found != expected[at]) break;
  }
  faults.push_back(
      {cause, what, fmt::format("{} at index {}", expected[at], at), std::to_string(found)});
  std::memcpy(tensor.data.own().data(), expected.data(), expected.size_bytes());
}

}  // namespace

namespace {

// Of the feed-forward part; experts', where the architecture can have them.
Act activation_of(const Arch& arch) {
  const auto* ffn = arch.find_block<FeedForward>();
  if (ffn == nullptr) return Act::silu;
  return ffn->has_experts ? ffn->experts.act : ffn->dense.act;
}

}  // namespace

Expectations::Expectations(std::shared_ptr<const ModelFile> model)
    : model_(std::move(model)), arch_(find_arch(model_->architecture())) {
  if (arch_ == nullptr) return;
  try {
    config_ = read_config(*model_, *arch_);
  } catch (const Error&) {
    arch_ = nullptr;  // metadata that say something unknown: nothing is expected then
  }
}

const LayerConfig* Expectations::layer(int layer) const {
  const bool is_known = layer >= 0 && layer < config_->n_layers;
  return is_known ? &config_->layers[static_cast<size_t>(layer)] : nullptr;
}

std::string Expectations::activation() const {
  if (arch_ == nullptr) return "";
  switch (activation_of(*arch_)) {
    case Act::silu:
      return "silu";
    case Act::relu:
      return "relu";
    case Act::relu_squared:
      return "relu^2";
    case Act::gelu:
      return "gelu";
    case Act::swiglu_oai:
      return "clamped swiglu";
    case Act::situ:
      return "situ";
  }
  return "";
}

Expected Expectations::expect(const Tap& tap, std::span<const TokenId> ids, Queries queries) const {
  Expected expected{tap, {}};
  expect_inputs(tap, ids, expected);
  if (tap.op == "ARGSORT") expect_order(tap, expected);
  if (!config_) return expected;
  if (tap.op.ends_with("NORM") && tap.op != "L2_NORM" && tap.op != "GROUP_NORM")
    expect_norm(tap, expected);
  if (tap.op == "ROPE") expect_rope(tap, expected);
  if (tap.op == "SCALE") expect_scale(tap, expected);
  if (tap.op == "DIV") expect_divisor(tap, expected);
  if (tap.op == "TOP_K") expect_choice(tap, expected);
  if (tap.op == "SOFT_MAX" || tap.op == "FLASH_ATTN_EXT") expect_attention(tap, queries, expected);
  expect_activation(tap, expected);
  return expected;
}

// What goes into the graph: the ids, and where they stand.
void Expectations::expect_inputs(const Tap& tap, std::span<const TokenId> ids,
                                 Expected& expected) const {
  std::vector<TapTensor>& sources = expected.operation.sources;
  if (tap.op == "GET_ROWS" && tap.sources.size() > 1 && tap.sources[0].is_weight &&
      tap.sources[0].name == "token_embd.weight") {
    expect_ids(sources[1], ids, Cause::tokens, "the ids looked up", expected.faults);
  }
  // Some architectures also turn what stands for several positions, by positions of its own.
  if (tap.op == "ROPE" && tap.sources.size() > 1 &&
      tap.out.ne[2] == static_cast<int64_t>(ids.size()) &&
      !tap.sources[1].name.ends_with("_state_write_pos")) {
    std::vector<int32_t> positions(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      positions[i] = tap.first_position + static_cast<int32_t>(i);
    }
    expect_ids(sources[1], positions, Cause::positions, "the position", expected.faults);
  }
}

// Of the experts in order only those used are read: what ik_llama.cpp leaves behind them is in any.
void Expectations::expect_order(const Tap& tap, Expected& expected) const {
  const std::string arch = model_->get_string("general.architecture").value_or("");
  const auto count = [&](const char* name) -> int64_t {
    const MetaValue* value = model_->find(arch + name);
    const auto* number = value == nullptr ? nullptr : std::get_if<uint64_t>(&value->value);
    return number == nullptr ? 0 : static_cast<int64_t>(*number);
  };
  const int64_t n_used = count(".expert_used_count");
  if (tap.out.ne[0] != count(".expert_count") || n_used <= 0 || n_used > tap.out.ne[0]) return;
  expected.operation.params[kArgsortNRead] = static_cast<int32_t>(n_used);
}

// How many experts are chosen, where that is an operation with this name.
void Expectations::expect_choice(const Tap& tap, Expected& expected) const {
  if (!tap.name.starts_with("ffn_moe_topk") || tap.sources.empty() ||
      tap.sources[0].ne[0] != config_->experts.n_experts) {
    return;
  }
  const LayerConfig* sizes = layer(tap.layer);
  if (sizes == nullptr || tap.out.ne[0] == sizes->n_experts_used) return;
  expected.faults.push_back({Cause::experts_used, "the number of experts of a token",
                             std::to_string(sizes->n_experts_used), std::to_string(tap.out.ne[0])});
}

void Expectations::expect_norm(const Tap& tap, Expected& expected) const {
  if (config_->indexer.n_seen != 0 && tap.op == "NORM") {
    return expect_float(expected, kNormEps, config_->indexer.norm_eps, Cause::rms_eps,
                        "eps of the indexer's norm");
  }
  const float found = as_float(expected.operation.params[kNormEps]);
  if (arch_->post_norm_eps && alike(found, *arch_->post_norm_eps)) return;
  // A delta net's queries and keys are made of length 1 by way of this norm (llama.cpp
  // src/models/models.h `build_gdn_l2_norm`).
  const LayerConfig* sizes = layer(tap.layer);
  const int n_key = config_->recurrent.n_state;
  const bool is_delta_net =
      sizes != nullptr && (has_block<GatedDeltaNet>(arch_->layer_of(sizes->kind)) ||
                           has_block<ChannelDeltaNet>(arch_->layer_of(sizes->kind)));
  if (is_delta_net && tap.out.ne[0] == n_key &&
      alike(found, config_->norm_eps / static_cast<float>(n_key))) {
    return;
  }
  expect_float(expected, kNormEps, config_->norm_eps, Cause::rms_eps, "rms eps");
}

void Expectations::expect_rope(const Tap& tap, Expected& expected) const {
  std::vector<ParameterFault>& faults = expected.faults;
  std::vector<TapTensor>& sources = expected.operation.sources;
  const LayerConfig* sizes = layer(tap.layer);
  if (sizes == nullptr || arch_->rope == RopeStyle::none) return;
  const RopeConfig& rope = config_->rope_of(tap.layer);
  const IndexerConfig& indexer = config_->indexer;
  // That of latent attention alone has names in every graph.
  const Indexer* kind = arch_->find_indexer();
  const bool has_name = kind != nullptr && kind->kind == Indexer::Kind::positions;
  const bool is_indexer = indexer.n_seen != 0 && tap.out.ne[0] == indexer.key_len &&
                          (tap.out.ne[1] == indexer.n_heads || tap.out.ne[1] == 1) &&
                          (!has_name || tap.name.starts_with("indexer_"));
  const LatentConfig& latent = sizes->latent;
  const bool is_q_or_k =
      latent.rank == 0 ? (tap.out.ne[0] == config_->head_dim ||
                          tap.out.ne[0] == rope.n_dims) &&  // the rotated part alone
                             (tap.out.ne[1] == sizes->n_heads || tap.out.ne[1] == sizes->n_kv_heads)
                       // Whole queries, or the rotated parts of queries or of the one key.
                       : (tap.out.ne[0] == latent.key_len && tap.out.ne[1] == sizes->n_heads) ||
                             (tap.out.ne[0] == rope.n_dims &&
                              (tap.out.ne[1] == sizes->n_heads || tap.out.ne[1] == 1));
  if (!is_q_or_k && !is_indexer) {
    faults.push_back(
        {Cause::head_count, "the heads",
         fmt::format("{} or {} of {}", sizes->n_heads, sizes->n_kv_heads, config_->head_dim),
         fmt::format("{} of {}", tap.out.ne[1], tap.out.ne[0])});
  }
  const RopeStyle own = is_indexer && kind != nullptr ? kind->rope : RopeStyle::none;
  const int32_t mode = mode_of(own == RopeStyle::none ? rope.style : own);
  if (tap.params[kRopeMode] != mode) {
    const auto name = [](int32_t m) {
      return m == kModeNorm          ? "adjacent pairs (norm)"
             : m == kModeNeox        ? "halves (neox)"
             : m == kModeMulti       ? "sections (mrope)"
             : m == kModeInterleaved ? "interleaved sections (imrope)"
                                     : "another style";
    };
    faults.push_back({Cause::rope_style, "rope style", name(mode), name(tap.params[kRopeMode])});
    expected.operation.params[kRopeMode] = mode;
  }
  if (rope.style == RopeStyle::multi || rope.style == RopeStyle::interleaved) {
    for (size_t i = 0; i < rope.sections.size(); ++i) {
      expect_int(expected, kRopeSections + i, rope.sections[i], Cause::rope_style, "rope section");
    }
  }
  expect_int(expected, kRopeNDims, rope.n_dims, Cause::rope_dims, "rotated dimensions");
  expect_float(expected, kRopeFreqBase, rope.freq_base, Cause::rope_base, "rope base");
  expect_float(expected, kRopeFreqScale, rope.freq_scale, Cause::rope_scaling,
               "rope frequency scale");
  expect_float(expected, kRopeExtFactor, rope.ext_factor, Cause::rope_scaling, "YaRN mix");
  expect_float(expected, kRopeAttnFactor, rope.attn_factor, Cause::rope_attn_factor,
               "attn_factor of rope");
  if (rope.ext_factor != 0) {
    expect_float(expected, kRopeBetaFast, rope.beta_fast, Cause::rope_scaling, "YaRN beta_fast");
    expect_float(expected, kRopeBetaSlow, rope.beta_slow, Cause::rope_scaling, "YaRN beta_slow");
    expect_int(expected, kRopeOriginal, rope.n_ctx_orig, Cause::rope_original_context,
               "the original context length of rope");
  }
  // Frequency factors, one per pair: used exactly when the file has them.
  const TensorView* factors = model_->find_tensor("rope_freqs.weight");
  const bool used = tap.sources.size() > 2 && tap.sources[2].ne[0] > 0;
  if (factors != nullptr && !used && arch_->rope_factors) {
    faults.push_back({Cause::rope_freqs, "rope_freqs.weight", "divides the angles", "not used"});
    sources.resize(3);
    sources[2].name = "rope_freqs.weight";
    sources[2].ne = {factors->shape[0], 1, 1, 1};
    sources[2].is_weight = true;
  } else if (factors == nullptr && used && tap.sources[2].is_weight &&
             !tap.sources[2].name.starts_with("rope_factors_")) {
    faults.push_back({Cause::rope_freqs, "frequency factors", "none in the model file",
                      "angles divided by " + tap.sources[2].name});
    sources.resize(2);
  }
}

// The gate's activation, alone or in one operation with the product. relu^2 has no operation of
// its own in ggml: replay knows it under names of ours.
void Expectations::expect_activation(const Tap& tap, Expected& expected) const {
  struct Name {
    std::string_view op;
    const char* activation;
    bool is_glu;
  };
  static constexpr Name names[] = {
      {"SILU", "silu", false},
      {"GELU", "gelu", false},
      {"GELU_QUICK", "quick gelu", false},
      {"GELU_ERF", "exact gelu", false},
      {"SWIGLU", "silu", true},
      {"GEGLU", "gelu", true},
      {"REGLU", "relu", true},
      {"GEGLU_ERF", "exact gelu", true},
      {"GEGLU_QUICK", "quick gelu", true},
  };
  if (tap.layer < 0) return;
  const LayerConfig* sizes = layer(tap.layer);
  for (const Name& name : names) {
    if (tap.op != name.op) continue;
    // Scans have gates of their own, whatever the feed-forward part's are (Nemotron-H).
    if (sizes != nullptr && sizes->is_recurrent && name.activation == std::string_view("silu"))
      return;
    if (activation() == name.activation) return;
    expected.faults.push_back({Cause::activation, "the activation", activation(), name.activation});
    if (activation() == "silu") {
      expected.operation.op = name.is_glu ? "SWIGLU" : "SILU";
    } else if (activation() == "gelu") {
      expected.operation.op = name.is_glu ? "GEGLU" : "GELU";
    } else if (activation() == "relu") {
      expected.operation.op = name.is_glu ? "REGLU" : "RELU";
    } else if (activation() == "relu^2") {
      expected.operation.op = name.is_glu ? "RELU_SQUARED_GLU" : "RELU_SQUARED";
    }
    return;
  }
}

// Scales beside a weight: NVFP4 weights and those of bitnet mean nothing without theirs. Beside
// others the row says whether engines multiply by them (llama.cpp v0.5.0, src/llama-model.cpp
// "generic pass": gemma2 has them multiplied in attention, not in its feed-forward part). Engines
// that know no scales refuse such a file.
bool Expectations::needs_scale(const TensorSpec& spec) const {
  if (spec.uses_scale || arch_->weight_scales) return true;
  const TensorView* weight = model_->find_tensor(spec.stem() + ".weight");
  return weight == nullptr || weight->type == GgmlType::NVFP4;
}

// The tensors that a graph of this architecture has to read.
std::set<std::string> Expectations::needed_tensors() const {
  // llama.cpp chooses blocks with flash attention alone (minimax-m3.cpp).
  const Indexer* indexer = arch_->find_indexer();
  const bool may_leave_out = indexer != nullptr && indexer->kind == Indexer::Kind::best_block;
  std::set<std::string> needed;
  for (const TensorSpec& spec : tensors_of(*model_, *arch_, *config_)) {
    if (!spec.is_used || (may_leave_out && is_of_indexer(spec.role))) continue;
    // Nothing was kept before the first layer that could be mixed in.
    if (spec.role == Role::attn_res_score && spec.layer == 0) continue;
    needed.insert(spec.name());
    if (spec.uses_bias && !spec.is_bias) needed.insert(spec.stem() + ".bias");
    if (spec.is_linear && needs_scale(spec)) needed.insert(spec.scale_name());
  }
  return needed;
}

std::optional<StructureCheck> Expectations::structure_check() const {
  if (!config_) return std::nullopt;
  return StructureCheck(*model_, *arch_, *config_);
}

Expectations::Unread Expectations::unread_weights(const std::set<std::string>& used) const {
  Unread unread;
  const auto* scan = config_ ? arch_->find_block<SelectiveScan>() : nullptr;
  const bool has_reshaped_scan = scan != nullptr && scan->form == SelectiveScan::Form::plamo2;
  const std::set<std::string> needed = config_ ? needed_tensors() : std::set<std::string>{};
  for (const TensorView& tensor : model_->tensors()) {
    const std::string& name = tensor.name;
    if (used.contains(name)) continue;
    if (name.ends_with(".input_scale")) continue;  // for kernels that round activations to 4 bits
    // llama.cpp reshapes these before it reads them, so that no operation names them (plamo2.cpp).
    if (has_reshaped_scan && (name.ends_with(".ssm_a") || name.ends_with(".ssm_d"))) continue;
    const bool is_needed = needed.contains(name) && !name.starts_with("rope_");  // see expect_rope
    (is_needed ? unread.needed : unread.others).push_back(name);
  }
  return unread;
}

}  // namespace crossval
