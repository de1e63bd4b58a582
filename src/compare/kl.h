// KL(backend || engine) in nats over the softmax of two rows of logits, in double. Never negative.
#pragma once

#include <span>

namespace crossval {

// Rows of equal length, all finite, and each row's own maximum. Absolute error about 1e-14.
double kl_divergence(std::span<const float> engine, std::span<const float> backend,
                     float max_engine, float max_backend);
double kl_divergence_scalar(std::span<const float> engine, std::span<const float> backend,
                            float max_engine, float max_backend);

}  // namespace crossval
