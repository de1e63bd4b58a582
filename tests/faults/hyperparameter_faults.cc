// Faults of metadata and of what stands beside the weights: the numbers an engine computes with.
#include <utility>

#include "faults/fault.h"

namespace crossval::testing {
namespace {

const std::vector<std::string> first_norm = {"norm-0", "attn_norm-0"};
const std::vector<std::string> first_rope = {"Qcur-0 ROPE", "Kcur-0 ROPE"};

bool always(const ModelInfo&, const ModelEdit&) { return true; }

Expectation scale_key(const FaultSite& site, const char* name, double factor,
                      std::vector<std::string> tensors, const char* cause) {
  const std::string key = site.info.key(name);
  const double before = site.good.original().get_float(key).value();
  site.bad.metadata().set_f32(key, static_cast<float>(before * factor));
  return {.tensors = std::move(tensors), .causes = {cause}};
}

Expectation scale_eps(const FaultSite& site, double factor) {
  return scale_key(site, "attention.layer_norm_rms_epsilon", factor, first_norm, "rms_eps");
}

Expectation scale_base(const FaultSite& site, double factor) {
  return scale_key(site, "rope.freq_base", factor, first_rope, "rope_base");
}

// Every key of the architecture under another architecture's name.
void rename_arch(ModelEdit& model, const std::string& from, const std::string& to) {
  for (const auto& [key, value] : model.original().metadata()) {
    if (!key.starts_with(from + ".")) continue;
    model.metadata().remove(key);
    model.metadata().copy(to + key.substr(from.size()), value);
  }
  model.metadata().set_string("general.architecture", to);
}

// Sliding layers of gemma3 keep a base and a scale of their own, and all its layers here slide.
bool has_plain_rope(const ModelInfo& info, const ModelEdit& model) {
  return !info.arch.starts_with("gemma") &&
         model.original().find(info.key("rope.freq_base")) != nullptr;
}

bool may_split_heads(const ModelInfo& info, const ModelEdit& model) {
  return info.native_knows && info.head_dim % 4 == 0 && !model.has("rope_freqs.weight") &&
         model.original().find(info.key("attention.key_length")) == nullptr;
}

Expectation split_heads(const FaultSite& site) {
  const auto set = [&](const char* key, int value) {
    site.bad.metadata().set_u32(site.info.key(key), static_cast<uint32_t>(value));
  };
  set("attention.head_count", 2 * site.info.n_heads);
  set("attention.head_count_kv", 2 * site.info.n_kv_heads);
  set("rope.dimension_count", site.info.head_dim / 2);
  return {.tensors = first_rope, .causes = {"head_count", "rope_dims"}};
}

Expectation add_rope_freqs(const FaultSite& site) {
  const size_t n = static_cast<size_t>(site.info.head_dim) / 2;
  site.bad.add("rope_freqs.weight", GgmlType::F32, {site.info.head_dim / 2},
               std::vector<std::byte>(n * sizeof(float)));
  std::vector<float> factors(n, 1.0f);
  for (size_t i = n / 2; i < n; ++i) factors[i] = 4.0f;
  site.bad.replace_f32("rope_freqs.weight", {site.info.head_dim / 2}, factors);
  return {.tensors = first_rope, .causes = {"rope_freqs"}};
}

}  // namespace

std::span<const Fault> hyperparameter_faults() {
  constexpr Group group = Group::hyperparameter;
  static const Fault table[] = {
      {"rms_eps_x1.1", group, true, always,
       [](const FaultSite& site) { return scale_eps(site, 1.1); }},
      {"rms_eps_/10", group, false, always,
       [](const FaultSite& site) { return scale_eps(site, 0.1); }},
      {"rope_base_+1%", group, true, has_plain_rope,
       [](const FaultSite& site) { return scale_base(site, 1.01); }},
      {"rope_base_x5", group, false, has_plain_rope,
       [](const FaultSite& site) { return scale_base(site, 5); }},
      {"rope_scaling_2", group, true, has_plain_rope,
       [](const FaultSite& site) {
         site.bad.metadata().set_string(site.info.key("rope.scaling.type"), "linear");
         site.bad.metadata().set_f32(site.info.key("rope.scaling.factor"), 2.0f);
         return Expectation{.tensors = first_rope, .causes = {"rope_scaling"}};
       }},
      // llama.cpp refuses it for llama and asserts for qwen and gemma.
      {"rope_dims_halved", group, true,
       [](const ModelInfo& info, const ModelEdit&) { return info.arch == "bitnet"; },
       [](const FaultSite& site) {
         site.bad.metadata().set_u32(site.info.key("rope.dimension_count"),
                                     static_cast<uint32_t>(site.info.head_dim / 2));
         return Expectation{.tensors = first_rope, .causes = {"rope_dims"}};
       }},
      {"heads_twice_as_many", group, false, may_split_heads, split_heads},
      {"rope_freqs_missing", group, true,
       [](const ModelInfo&, const ModelEdit& model) { return model.has("rope_freqs.weight"); },
       [](const FaultSite& site) {
         site.bad.remove("rope_freqs.weight");
         return Expectation{.tensors = first_rope, .causes = {"rope_freqs"}};
       }},
      {"rope_freqs_added", group, false,
       [](const ModelInfo& info, const ModelEdit& model) {
         return info.arch == "llama" && info.is_dense && !model.has("rope_freqs.weight");
       },
       add_rope_freqs},
      // The backend reads qwen2: the same graph, but RoPE pairs halves of a head.
      {"rope_style", group, true,
       [](const ModelInfo& info, const ModelEdit& model) {
         return info.arch == "llama" && info.is_dense && !model.has("rope_freqs.weight");
       },
       [](const FaultSite& site) {
         rename_arch(site.bad, "llama", "qwen2");
         return Expectation{.tensors = first_rope, .causes = {"rope_style"}};
       }},
      {"sliding_window_halved", group, false,
       [](const ModelInfo& info, const ModelEdit& model) {
         return model.original().find(info.key("attention.sliding_window")) != nullptr;
       },
       [](const FaultSite& site) {
         const std::string key = site.info.key("attention.sliding_window");
         const int64_t before = site.good.original().get_int(key).value();
         site.bad.metadata().set_u32(key, static_cast<uint32_t>(before / 2));
         return Expectation{.tensors = {"kq_soft_max-0"}, .causes = {"sliding_window"}};
       }},
      {"attention_scale_x1.1", group, false,
       [](const ModelInfo& info, const ModelEdit&) { return info.arch == "granite"; },
       [](const FaultSite& site) {
         return scale_key(site, "attention.scale", 1.1, {"kq_soft_max-0"}, "attention_scale");
       }},
      {"softcap_x1.1", group, false,
       [](const ModelInfo& info, const ModelEdit&) { return info.arch == "gemma2"; },
       [](const FaultSite& site) {
         return scale_key(site, "attn_logit_softcapping", 1.1,
                          {"kq_soft_max-0", "kq-0", "kq_scaled_1-0", "kq_tanh-0", "kq_scaled_2-0"},
                          "softcap");
       }},
      // microsoft/BitNet 588: relu^2 by the file, silu by the engine.
      {"silu_for_relu2", group, true,
       [](const ModelInfo& info, const ModelEdit&) { return info.arch == "bitnet"; },
       [](const FaultSite& site) {
         rename_arch(site.good, "bitnet", "bitnet-b1.58");
         return Expectation{.tensors = {"ffn_sub_out-0"}, .causes = {"activation"}};
       },
       true},
  };
  return table;
}

}  // namespace crossval::testing
