#include "native/recurrent_state.h"

#include <algorithm>
#include <cstdlib>

#include "base/error.h"

namespace crossval {

void RecurrentState::FreeDeleter::operator()(float* memory) const { std::free(memory); }

RecurrentState::RecurrentState(const Config& config)
    : n_conv_(config.recurrent.n_conv),
      n_channels_(config.recurrent.n_channels),
      window_len_(int64_t{std::max(0, n_conv_ - 1)} * n_channels_),
      state_len_(int64_t{config.recurrent.n_inner} * config.recurrent.n_state) {
  for (const LayerConfig& layer : config.layers) {
    place_.push_back(n_recurrent_);
    if (layer.is_recurrent) ++n_recurrent_;
  }
  reset();
}

void RecurrentState::reset() {
  if (n_recurrent_ == 0) return;
  memory_.reset();
  const auto n = static_cast<size_t>(n_recurrent_) * static_cast<size_t>(window_len_ + state_len_);
  memory_.reset(static_cast<float*>(std::calloc(n + 1, sizeof(float))));
  if (memory_ != nullptr) return;
  bad_input("out_of_memory", "no memory for the state of recurrent layers",
            std::to_string(n) + " numbers", "use a smaller model");
}

void RecurrentState::convolve(int layer, const Weight& weight, int n_tokens, const float* in,
                              float* out) const {
  const int64_t n = n_channels_, n_before = n_conv_ - 1;
  float* before = window(layer);
  // Weights lie by channel; by position they meet whole rows.
  std::vector<float> by_position(static_cast<size_t>(n * n_conv_));
  for (int64_t channel = 0; channel < n; ++channel) {
    for (int64_t k = 0; k < n_conv_; ++k) {
      by_position[static_cast<size_t>(k * n + channel)] =
          weight.vector[static_cast<size_t>(channel * n_conv_ + k)];
    }
  }
  const auto row_at = [&](int64_t token) {
    return token < 0 ? before + (n_before + token) * n : in + token * n;
  };
  for (int64_t token = 0; token < n_tokens; ++token) {
    float* to = out + token * n;
    std::fill_n(to, n, 0.0f);
    for (int64_t k = 0; k < n_conv_; ++k) {
      const float *from = row_at(token - n_before + k), *w = &by_position[k * n];
      for (int64_t channel = 0; channel < n; ++channel) to[channel] += from[channel] * w[channel];
    }
    if (weight.bias.empty()) continue;
    for (int64_t channel = 0; channel < n; ++channel) to[channel] += weight.bias[channel];
  }
  // Oldest first, so that no row is overwritten before it has moved.
  for (int64_t i = 0; i < n_before; ++i) {
    const float* from = row_at(n_tokens - n_before + i);
    std::copy_n(from, n, before + i * n);
  }
}

}  // namespace crossval
