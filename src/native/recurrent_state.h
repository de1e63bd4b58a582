// What recurrent layers remember of the tokens before: the last inputs of their convolution, and
// the state of their scan. Begins with zeros and moves with every token, so it has no positions.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "arch/config.h"
#include "native/weights.h"

namespace crossval {

class RecurrentState {
 public:
  explicit RecurrentState(const Config& config);

  // Forgets everything.
  void reset();
  // The last n_conv - 1 inputs of the layer's convolution, oldest first: [n_conv - 1, n_channels].
  float* window(int layer) const { return memory_.get() + offset(layer); }
  // [n_inner, n_state]
  float* state(int layer) const { return window(layer) + window_len_; }

  // The convolution of n_tokens rows [n_channels] that follow the window, each of whose channels
  // has n_conv weights of its own: in f32 in the order of positions, as ggml-cpu/ops.cpp
  // `ggml_compute_forward_ssm_conv_f32`. Moves the window.
  void convolve(int layer, const Weight& weight, int n_tokens, const float* in, float* out) const;

 private:
  struct FreeDeleter {
    void operator()(float* memory) const;
  };
  int64_t offset(int layer) const {
    return place_[static_cast<size_t>(layer)] * (window_len_ + state_len_);
  }

  int n_conv_, n_channels_;
  int64_t window_len_, state_len_;
  std::vector<int64_t> place_;  // by layer: how many recurrent layers are before it
  int64_t n_recurrent_ = 0;
  std::unique_ptr<float[], FreeDeleter> memory_;
};

}  // namespace crossval
