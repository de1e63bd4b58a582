#include "arch/recurrent.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <string>

#include "base/error.h"

namespace crossval {
namespace {

using Form = SelectiveScan::Form;

// As of config.cc: products of these stay inside int64, and of n_inner and n_state inside memory.
constexpr int64_t kMaxInner = int64_t{1} << 24;
constexpr int64_t kMaxState = 1 << 16;
constexpr int64_t kMaxConv = 1 << 10;

void read_scan(const Keys& keys, const SelectiveScan& scan, Config& config) {
  RecurrentConfig& out = config.recurrent;
  out.n_conv = keys.required_int("ssm.conv_kernel", kMaxConv);
  out.n_inner = keys.required_int("ssm.inner_size", kMaxInner);
  out.n_state = keys.required_int("ssm.state_size", kMaxState);
  const int rank = keys.required_int("ssm.time_step_rank", kMaxInner);
  out.n_groups = scan.form == Form::mamba2 ? keys.required_int("ssm.group_count", kMaxState) : 1;
  switch (scan.form) {
    case Form::mamba1:
      out.n_heads = out.n_inner;
      out.n_dt = rank;
      out.plain_norms = !scan.dt_b_c_norms && keys.optional_bool("ssm.dt_b_c_rms", false);
      break;
    case Form::mamba2:
      out.n_heads = rank;
      break;
    case Form::plamo2:
      out.n_heads = rank;
      out.n_dt = std::max(64, config.n_embd / 16);  // no key says it: plamo2.cpp
      break;
  }
  out.n_channels = out.n_inner;
  if (scan.form == Form::mamba2) {
    const int64_t n_channels = out.n_inner + int64_t{2} * out.n_groups * out.n_state;
    if (n_channels <= 2 * kMaxInner) out.n_channels = static_cast<int>(n_channels);
  }
  const bool fits = out.n_inner % out.n_heads == 0 && out.n_heads % out.n_groups == 0 &&
                    (scan.form != Form::mamba2 || out.n_channels > out.n_inner);
  if (fits) return;
  bad_input("bad_hyperparameter",
            fmt::format("{} channels in {} heads and {} groups, with {} elements of state, make no "
                        "sense",
                        out.n_inner, out.n_heads, out.n_groups, out.n_state),
            keys.model().path(), "correct the ssm.* metadata keys");
}

void read_delta_net(const Keys& keys, Config& config) {
  RecurrentConfig& out = config.recurrent;
  out.n_conv = keys.required_int("ssm.conv_kernel", kMaxConv);
  out.n_inner = keys.required_int("ssm.inner_size", kMaxInner);
  out.n_state = keys.required_int("ssm.state_size", kMaxState);
  out.n_heads = keys.required_int("ssm.time_step_rank", kMaxInner);
  out.n_groups = keys.required_int("ssm.group_count", kMaxState);
  const int64_t n_keys = int64_t{out.n_groups} * out.n_state;
  // Keys and values are of one length, which makes the state of a head square.
  if (int64_t{out.n_heads} * out.n_state == out.n_inner && out.n_heads % out.n_groups == 0) {
    out.n_channels = out.n_inner + static_cast<int>(2 * n_keys);
    return;
  }
  bad_input("bad_hyperparameter",
            fmt::format("{} channels in {} heads of {} elements, with {} heads of keys, make no "
                        "sense",
                        out.n_inner, out.n_heads, out.n_state, out.n_groups),
            keys.model().path(), "correct the ssm.* metadata keys");
}

void read_channel_net(const Keys& keys, const ChannelDeltaNet& net, Config& config) {
  RecurrentConfig& out = config.recurrent;
  out.n_conv = keys.required_int("ssm.conv_kernel", kMaxConv);
  out.n_state = keys.required_int("kda.head_dim", kMaxState);
  out.n_heads = out.n_groups = config.n_heads;
  const int64_t n_inner = int64_t{out.n_heads} * out.n_state;
  if (n_inner > kMaxInner) {
    bad_input("bad_hyperparameter",
              fmt::format("{} heads of {} elements make no sense", out.n_heads, out.n_state),
              keys.model().path(), "correct the kda.* and attention.* metadata keys");
  }
  out.n_inner = static_cast<int>(n_inner);
  out.n_channels = 3 * out.n_inner;
  if (net.bound == ChannelDeltaNet::Bound::never) return;
  // Absent is minus infinity (llama-hparams.h), which some files say.
  const auto bound = keys.model().get_float(keys.full("kda.gate_lower_bound"));
  out.decay_bound = bound && std::isfinite(*bound) ? static_cast<float>(*bound) : 0;
}

void read_lightning(const Keys& keys, Config& config) {
  RecurrentConfig& out = config.recurrent;
  out.n_conv = 1;  // none
  out.n_heads = out.n_groups = config.n_heads;
  out.n_state = config.head_dim;
  const int64_t n_inner = int64_t{out.n_heads} * out.n_state;
  if (n_inner > kMaxInner || out.n_state > kMaxState) {
    bad_input("bad_hyperparameter",
              fmt::format("{} heads of {} elements make no sense", out.n_heads, out.n_state),
              keys.model().path(), "correct the attention.* metadata keys");
  }
  out.n_inner = static_cast<int>(n_inner);
  out.n_channels = out.n_inner;
}

// Lists the specs of one block.
class Lister {
 public:
  Lister(int layer, std::vector<TensorSpec>& out) : layer_(layer), out_(out) {}

  TensorSpec& matrix(Role role, int64_t ne0, int64_t ne1, bool uses_scale) {
    TensorSpec& spec = add(role, ne0, ne1);
    spec.is_linear = true;
    spec.uses_scale = uses_scale;
    return spec;
  }
  TensorSpec& add(Role role, int64_t ne0, int64_t ne1 = 0) {
    out_.push_back({.role = role, .layer = layer_, .shape = {ne0, ne1}});
    return out_.back();
  }
  std::string name_of(Role role) const { return TensorSpec{.role = role, .layer = layer_}.name(); }

 private:
  int layer_;
  std::vector<TensorSpec>& out_;
};

void list_scan(const SelectiveScan& scan, const Config& config, Lister& list) {
  const RecurrentConfig& r = config.recurrent;
  const bool is_mamba2 = scan.form == Form::mamba2;
  const int64_t n_in = int64_t{r.n_inner} + r.n_channels + (is_mamba2 ? r.n_heads : 0);
  list.matrix(Role::ssm_in, config.n_embd, n_in, scan.scales);
  TensorSpec& kernel = list.add(Role::ssm_conv1d, r.n_conv, r.n_channels);
  kernel.has_rows = true;
  // Some loaders call it optional, and all graphs but PLaMo 2's add it unasked (mamba-base.cpp).
  kernel.needs_bias = scan.form != Form::plamo2;
  if (is_mamba2) {
    list.add(Role::ssm_dt, r.n_heads).is_bias = true;
  } else {
    list.matrix(Role::ssm_x, r.n_inner, r.n_dt + int64_t{2} * r.n_state, false);
    list.matrix(Role::ssm_dt, r.n_dt, r.n_heads, false).needs_bias = true;
  }
  if (scan.dt_b_c_norms) {
    list.add(Role::ssm_dt_norm, r.n_dt);
    list.add(Role::ssm_b_norm, r.n_state);
    list.add(Role::ssm_c_norm, r.n_state);
  }
  const auto per_head = [&](Role role) {
    TensorSpec& spec = is_mamba2 ? list.add(role, 1, r.n_heads) : list.add(role, r.n_heads);
    spec.is_bare = true;
  };
  if (scan.form == Form::mamba1) {
    list.add(Role::ssm_a, r.n_state, r.n_heads).is_bare = true;
  } else {
    per_head(Role::ssm_a);
  }
  per_head(Role::ssm_d);
  if (scan.group_norm != SelectiveScan::GroupNorm::no) {
    list.add(Role::ssm_norm, r.n_inner / r.n_groups, r.n_groups).required =
        scan.group_norm == SelectiveScan::GroupNorm::yes;
  }
  list.matrix(Role::ssm_out, r.n_inner, config.n_embd, scan.scales);
}

// No bias beside these counts.
void list_delta_net(const ModelFile& model, const GatedDeltaNet& net, const Config& config,
                    Lister& list) {
  const RecurrentConfig& r = config.recurrent;
  const auto matrix = [&](Role role, int64_t ne0, int64_t ne1) -> TensorSpec& {
    TensorSpec& spec = list.matrix(role, ne0, ne1, net.scales);
    spec.uses_bias = false;
    return spec;
  };
  // Older files of Qwen3-Next have both in one, ssm_in, dealt out by head of keys; the two go first
  // (qwen3next.cpp `build_qkvz`).
  const bool has_in = net.grouped && model.find_tensor(list.name_of(Role::ssm_in)) != nullptr;
  const bool in_one = has_in && model.find_tensor(list.name_of(Role::attn_qkv)) == nullptr;
  if (has_in) {
    matrix(Role::ssm_in, config.n_embd, int64_t{r.n_channels} + r.n_inner).is_used = in_one;
  }
  if (!in_one) matrix(Role::attn_qkv, config.n_embd, r.n_channels);
  TensorSpec& gate = matrix(Role::attn_gate, config.n_embd, r.n_inner);
  gate.required = gate.is_used = !in_one;
  TensorSpec& kernel = list.add(Role::ssm_conv1d, r.n_conv, r.n_channels);
  kernel.has_rows = true;
  kernel.uses_bias = false;
  list.add(Role::ssm_dt, r.n_heads).is_bias = true;
  list.add(Role::ssm_a, r.n_heads).is_bare = true;
  if (net.grouped) {
    matrix(Role::ssm_beta_alpha, config.n_embd, int64_t{2} * r.n_heads);
  } else {
    matrix(Role::ssm_beta, config.n_embd, r.n_heads);
    matrix(Role::ssm_alpha, config.n_embd, r.n_heads);
  }
  list.add(Role::ssm_norm, r.n_state).uses_bias = false;
  matrix(Role::ssm_out, r.n_inner, config.n_embd);
}

// Neither scales nor biases beside these count: kimi-linear.cpp has no build_lora_mm.
void list_channel_net(const ModelFile& model, const ChannelDeltaNet& net, const Config& config,
                      Lister& list) {
  const RecurrentConfig& r = config.recurrent;
  const auto matrix = [&](Role role, int64_t ne0, int64_t ne1) {
    list.matrix(role, ne0, ne1, false).uses_bias = false;
  };
  if (net.fused && model.find_tensor(list.name_of(Role::attn_qkv)) != nullptr) {
    matrix(Role::attn_qkv, config.n_embd, r.n_channels);
  } else {
    for (const Role role : {Role::attn_q, Role::attn_k, Role::attn_v}) {
      matrix(role, config.n_embd, r.n_inner);
    }
  }
  for (const Role role : {Role::ssm_conv1d_q, Role::ssm_conv1d_k, Role::ssm_conv1d_v}) {
    TensorSpec& kernel = list.add(role, r.n_conv, 1);
    kernel.shape[2] = r.n_inner;
    kernel.has_rows = true;
    kernel.uses_bias = false;
  }
  matrix(Role::ssm_f_a, config.n_embd, net.decay_row ? r.n_state : r.n_inner);
  if (net.decay_row) matrix(Role::ssm_f_b, r.n_state, r.n_inner);
  matrix(Role::ssm_beta, config.n_embd, r.n_heads);
  TensorSpec& a =
      net.flat_a ? list.add(Role::ssm_a, r.n_heads) : list.add(Role::ssm_a, 1, r.n_heads);
  a.is_bare = true;
  list.add(Role::ssm_dt, r.n_inner).is_bias = true;
  matrix(net.gate_row ? Role::ssm_g_a : net.gate, config.n_embd,
         net.gate_row ? r.n_state : r.n_inner);
  if (net.gate_row) matrix(Role::ssm_g_b, r.n_state, r.n_inner);
  list.add(Role::ssm_norm, r.n_state).uses_bias = false;
  matrix(Role::attn_output, r.n_inner, config.n_embd);
}

}  // namespace

void read_recurrent(const Keys& keys, const Arch& arch, Config& config) {
  if (const auto* scan = arch.find_block<SelectiveScan>()) return read_scan(keys, *scan, config);
  if (arch.find_block<GatedDeltaNet>() != nullptr) return read_delta_net(keys, config);
  if (const auto* net = arch.find_block<ChannelDeltaNet>()) {
    return read_channel_net(keys, *net, config);
  }
  if (arch.find_block<LightningAttention>() != nullptr) return read_lightning(keys, config);
  if (arch.find_block<ShortConv>() != nullptr) {
    config.recurrent.n_conv = keys.required_int("shortconv.l_cache", kMaxConv);
    config.recurrent.n_channels = config.n_embd;
  }
}

bool list_recurrent(const ModelFile& model, const Branch& branch, const Config& config, int layer,
                    std::vector<TensorSpec>& out) {
  Lister list(layer, out);
  if (const auto* scan = std::get_if<SelectiveScan>(&branch.block)) {
    list_scan(*scan, config, list);
    return true;
  }
  if (const auto* net = std::get_if<GatedDeltaNet>(&branch.block)) {
    list_delta_net(model, *net, config, list);
    return true;
  }
  if (const auto* net = std::get_if<ChannelDeltaNet>(&branch.block)) {
    list_channel_net(model, *net, config, list);
    return true;
  }
  if (std::holds_alternative<LightningAttention>(branch.block)) {
    const int64_t n_inner = config.recurrent.n_inner;
    list.matrix(Role::attn_qkv, config.n_embd, 3 * n_inner, false);
    list.matrix(Role::attn_gate, config.n_embd, n_inner, false);
    list.add(Role::attn_norm_2, n_inner);
    list.matrix(Role::attn_output, n_inner, config.n_embd, false);
    return true;
  }
  if (!std::holds_alternative<ShortConv>(branch.block)) return false;
  list.matrix(Role::shortconv_in, config.n_embd, int64_t{3} * config.n_embd, false);
  list.add(Role::shortconv_conv, config.recurrent.n_conv, config.n_embd).has_rows = true;
  list.matrix(Role::shortconv_out, config.n_embd, config.n_embd, false);
  return true;
}

}  // namespace crossval
