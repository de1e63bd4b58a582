// LIGHTNING_INDEXER (ggml-cpu/ops.cpp `ggml_compute_forward_lightning_indexer`): how much a token
// wants to see each position: over its heads, w relu(q . k), then the mask. Sources: 0 q [n, heads,
// tokens, streams], 1 k [n, 1, positions, streams], 2 w [heads, tokens, 1, streams], 3 mask
// [positions, tokens, 1, streams or fewer].
#include <algorithm>
#include <cmath>
#include <span>

#include "replay/families.h"
#include "replay/judge.h"
#include "replay/recurrence.h"

namespace crossval {

bool replay_lightning_indexer(Inputs& in, int variant, Recomputed& out) {
  if (variant > 0) return false;
  const TapTensor &q = in.source(0), &k = in.source(1), &w = in.source(2), &mask = in.source(3),
                  &y = in.out();
  const int64_t n = q.ne[0], heads = q.ne[1], tokens = q.ne[2], streams = q.ne[3],
                positions = k.ne[2];
  using Shape = std::array<int64_t, 4>;
  require_shape(k.ne == Shape{n, 1, positions, streams} && w.ne == Shape{heads, tokens, 1, streams},
                "keys or weights do not fit the queries");
  require_shape(mask.ne[0] == positions && mask.ne[1] == tokens && mask.ne[2] == 1 &&
                    mask.ne[3] > 0 && streams % mask.ne[3] == 0,
                "the mask does not cover the scores");
  require_shape(y.ne == Shape{positions, tokens, 1, streams},
                "the result has another shape than its sources give");
  const std::span<const float> queries = in.floats(0), keys = in.floats(1), weights = in.floats(2),
                               masks = in.floats(3);
  const bool is_exact =
      k.type == GgmlType::F32 || k.type == GgmlType::F16 || k.type == GgmlType::BF16;
  out.resize(y.n_elements());
  in.pool().run(tokens * streams, [&](int64_t row, int) {
    const int64_t token = row % tokens, stream = row / tokens;
    for (int64_t position = 0; position < positions; ++position) {
      const auto key = static_cast<size_t>((stream * positions + position) * n);
      RoundedSum score;
      double carried = 0;
      for (int64_t h = 0; h < heads; ++h) {
        const auto query = static_cast<size_t>((row * heads + h) * n);
        RoundedSum product;
        double of_keys = 0;
        for (size_t i = 0; i < static_cast<size_t>(n); ++i) {
          const double term = double{queries[query + i]} * keys[key + i];
          product.add(term);
          if (!is_exact) of_keys += rounding(term);  // of a key's dequantisation
        }
        const double variance = product.variance() + of_keys;
        const double weight = weights[static_cast<size_t>(row * heads + h)];
        // Far below 0 no error comes through.
        if (product.sum() > -allowed_sigmas(1) * std::sqrt(variance)) {
          carried += squared(weight) * variance;
        }
        score.add(std::max(product.sum(), 0.0) * weight);
      }
      const int64_t mask_row = (stream % mask.ne[3]) * tokens + token;
      const double result =
          score.sum() + masks[static_cast<size_t>(mask_row * positions + position)];
      const double of_result = std::isfinite(result) ? rounding(result) : 0;
      out.set(row * positions + position, result, sigma_of(score.variance() + carried + of_result));
    }
  });
  return true;
}

}  // namespace crossval
