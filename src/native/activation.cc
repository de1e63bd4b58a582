#include "native/activation.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <vector>

#include "base/half.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

// The tanh form (arXiv:1606.08415), the only one these models use.
float gelu(float x) {
  constexpr float root_2_over_pi = 0.79788456080286535587989211986876f;
  constexpr float cubic = 0.044715f;
  return 0.5f * x * (1.0f + std::tanh(root_2_over_pi * x * (1.0f + cubic * x * x)));
}

// ggml-cpu/vec.h `ggml_vec_gelu_f32`: outside (-10, 10) exact, else indexed by the half float.
float gelu_from_table(float x) {
  static const std::vector<float> table = [] {
    std::vector<float> all(1 << 16);
    for (uint32_t i = 0; i < all.size(); ++i) {
      all[i] = f16_to_f32(f32_to_f16(gelu(f16_to_f32(static_cast<uint16_t>(i)))));
    }
    return all;
  }();
  if (x <= -10.0f) return 0.0f;
  if (x >= 10.0f) return x;
  return table[f32_to_f16(x)];
}

// ggml-cpu/ops.cpp `ggml_compute_forward_swiglu_oai_f32` with gpt-oss' constants.
float swiglu_oai(float gate, float up) {
  constexpr float alpha = 1.702f, limit = 7.0f;
  const float x = std::min(gate, limit);
  const float y = std::clamp(up, -limit, limit);
  return x / (1.0f + std::exp(alpha * -x)) * (y + 1.0f);
}

}  // namespace

void activate(Act act, bool as_ggml, const float* up, int n, float* gate) {
  if (act == Act::silu && up != nullptr) return silu_multiply_row(up, n, gate);
  if (act == Act::relu_squared && up != nullptr) return relu_squared_multiply_row(up, n, gate);
  for (int i = 0; i < n; ++i) {
    float& x = gate[i];
    const float factor = up != nullptr ? up[i] : 1.0f;
    switch (act) {
      case Act::silu:
        x = x / (1.0f + std::exp(-x)) * factor;
        break;
      case Act::gelu:
        x = (as_ggml ? gelu_from_table(x) : gelu(x)) * factor;
        break;
      case Act::relu:
        x = (x < 0.0f ? 0.0f : x) * factor;
        break;
      case Act::relu_squared:
        x = x < 0.0f ? 0.0f : x * x;
        x *= factor;
        break;
      case Act::swiglu_oai:
        x = swiglu_oai(x, factor);
        break;
      case Act::situ:  // has limits that the model says
        break;
    }
  }
}

// llama.cpp src/models/kimi-k3.cpp `kimi_k3_situ`.
void situ(float beta, float linear_beta, const float* up, int n, float* gate) {
  for (int i = 0; i < n; ++i) {
    const float x = gate[i];
    const float limited =
        linear_beta > 0 ? std::tanh(up[i] * (1.0f / linear_beta)) * linear_beta : up[i];
    gate[i] = std::tanh(x * (1.0f / beta)) * beta * sigmoid(x) * limited;
  }
}

float softplus(float x, bool as_ggml) {
  if (x > 20.0f) return x;
  return as_ggml ? std::log(1 + std::exp(x)) : std::log1p(std::exp(x));
}

}  // namespace crossval
