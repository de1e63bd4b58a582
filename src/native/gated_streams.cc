// Hyper connections as Qwen 4 has them: a block reads the mean of the normed streams, each element
// times a gate, and is added to each. Source, and of the names of taps: llama.cpp
// src/models/qwen4exp.cpp `build_hc_mix`, `build_hc_combine`.
#include "native/activation.h"
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {

void read_gated_streams(ForwardPass& pass, const Weight& norm, const Weight& down, const Weight& up,
                        const Weight* inject) {
  const int n = pass.config.hyper.count, width = pass.x.width;
  const float share = 1.0f / static_cast<float>(n);
  pass.resize(pass.hyper_normed, pass.streams.width);
  pass.resize(pass.hyper_gates, pass.streams.width);
  pass.resize(pass.hyper_low, pass.config.hyper.rank);
  pass.norm(pass.streams, norm, NormKind::rms, width, pass.config.norm_eps, pass.hyper_normed);
  pass.tap("hc_norm", "MUL", pass.hyper_normed);
  pass.linear(nullptr, down, pass.hyper_normed, pass.hyper_low);
  pass.scale(share, pass.hyper_low);
  pass.activate(Act::silu, nullptr, pass.hyper_low);
  pass.linear("hc_gate", up, pass.hyper_low, pass.hyper_gates);
  pass.each_token([&](int64_t token) {
    const float *from = pass.hyper_normed.row(token), *gates = pass.hyper_gates.row(token);
    float* mean = pass.x.row(token);
    for (int i = 0; i < width; ++i) {
      float sum = 0;
      for (int stream = 0; stream < n; ++stream) {
        const int64_t at = int64_t{stream} * width + i;
        sum += from[at] * sigmoid(gates[at]);
      }
      mean[i] = sum * share;
    }
  });
  if (inject == nullptr) return;
  pass.resize(pass.hyper_weights, n);
  pass.linear("hc_inject", *inject, pass.hyper_normed, pass.hyper_weights);
  pass.each_token([&](int64_t token) {
    float* weight = pass.hyper_weights.row(token);
    for (int stream = 0; stream < n; ++stream) weight[stream] = 2 * sigmoid(weight[stream] * share);
  });
}

}  // namespace crossval
