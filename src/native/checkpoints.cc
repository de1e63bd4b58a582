// Residuals that are kept, and what blocks read of them. Source: llama.cpp src/models/kimi-k3.cpp
// `res_push`, `res_mix`.
#include <algorithm>

#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {

void mix_checkpoints(ForwardPass& pass, const Weight& score) {
  const int n = pass.x.width;
  pass.resize(pass.mixed, n);
  if (pass.checkpoints.empty()) {
    pass.each_token(
        [&](int64_t token) { std::copy_n(pass.x.row(token), n, pass.mixed.row(token)); });
    return;
  }
  const size_t n_kept = pass.checkpoints.size();
  pass.each_token([&](int64_t token) {
    const auto row_of = [&](size_t i) {
      return i < n_kept ? pass.checkpoints[i].row(token) : pass.x.row(token);
    };
    std::vector<float> weights(n_kept + 1), normed(static_cast<size_t>(n));
    for (size_t i = 0; i <= n_kept; ++i) {
      rms_norm_row(row_of(i), score.vector.data(), n, pass.config.norm_eps, normed.data());
      double sum = 0;
      for (const float value : normed) sum += static_cast<double>(value);
      weights[i] = static_cast<float>(sum);
    }
    softmax_row(weights.data(), static_cast<int>(weights.size()));
    float* out = pass.mixed.row(token);
    std::fill_n(out, n, 0.0f);
    for (size_t i = 0; i <= n_kept; ++i) {
      const float* from = row_of(i);
      for (int at = 0; at < n; ++at) out[at] += from[at] * weights[i];
    }
  });
}

void keep_checkpoint(ForwardPass& pass) {
  Rows& kept = pass.checkpoints.emplace_back();
  pass.resize(kept, pass.x.width);
  std::copy_n(pass.x.data.begin(), kept.data.size(), kept.data.begin());
  std::fill_n(pass.x.data.begin(), kept.data.size(), 0.0f);
}

}  // namespace crossval
