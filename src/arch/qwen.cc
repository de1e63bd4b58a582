// Qwen (arXiv:2309.16609), 2 (arXiv:2407.10671) and 3 (arXiv:2505.09388), dense and with experts.
// Source: llama.cpp src/models/qwen*.cpp. Those that see pictures compute as these on text alone:
// all sections of their rotation then stand at one position.
#include "arch/archs.h"
#include "arch/config.h"
#include "arch/experts.h"

namespace crossval {
namespace {

Arch not_causal(Arch arch) {
  arch.causal = false;
  return arch;
}

}  // namespace

std::vector<Arch> qwen_archs() {
  const auto dense = [](std::string_view name, const Attention& attention, bool scales) -> Arch {
    return {.name = name,
            .rope = RopeStyle::neox,
            .layer = pre_norm_layer(attention, {.dense = {.scales = scales}})};
  };
  const Attention normed = {.qk_norm = QkNorm::head};
  Arch qwen = dense("qwen", {.fused = true, .grouped = false}, false);
  qwen.biases = {.qkv = true};
  // Its feed_forward_length counts gate and up together.
  qwen.adjust = [](const Keys&, Config& config) {
    config.n_ff /= 2;
    for (LayerConfig& layer : config.layers) layer.n_ff /= 2;
  };
  const auto by_sections = [](Arch arch, RopeStyle style, std::string_view name) {
    arch.name = name;
    arch.rope = style;
    arch.output_bias = false;
    return arch;
  };
  Arch dream = not_causal(dense("dream", {}, false));
  dream.output_bias = false;
  return {
      qwen,
      by_sections(dense("", {}, false), RopeStyle::multi, "qwen2vl"),
      by_sections(dense("", normed, false), RopeStyle::interleaved, "qwen3vl"),
      by_sections(dense("", normed, false), RopeStyle::interleaved, "qwen3tts"),
      by_sections(mixture("", RopeStyle::neox, normed, {}), RopeStyle::interleaved, "qwen3vlmoe"),
      by_sections(dense("", {.out_bias = true}, false), RopeStyle::multi, "paddleocr"),
      // Predicts all tokens at once: no causal mask.
      dream,
      not_causal(mixture("rnd1", RopeStyle::neox, normed, {})),
      not_causal(
          mixture("llada-moe", RopeStyle::neox, normed, {.weights_norm = Experts::Norm::no})),
      dense("qwen2", {}, false),
      dense("qwen3", normed, true),
      mixture("qwen2moe", RopeStyle::neox, {},
              {.weights_norm = Experts::Norm::no, .shared = true, .shared_gate = true}),
      mixture("qwen3moe", RopeStyle::neox, normed, {.scales = true}),
  };
}

}  // namespace crossval
