#include "native/forward.h"

#include <cassert>
#include <cmath>
#include <string_view>

#include "native/attention.h"
#include "native/vector_math.h"

namespace crossval {

ForwardPass::ForwardPass(const Config& config_in, Numerics numerics, KvCache& cache,
                         ThreadPool& pool)
    : config(config_in), numerics_(numerics), cache_(cache), pool_(pool) {
  x.width = normed.width = branch.width = config.n_embd;
  q.width = heads.width = config.n_q();
  k.width = v.width = config.n_kv();
  gate.width = up.width = config.n_ff;
}

void ForwardPass::begin(int n_tokens_in, int first_position_in) {
  n_tokens = n_tokens_in;
  first_position = first_position_in;
  for (Rows* rows : {&x, &normed, &branch, &q, &heads, &k, &v, &gate, &up}) {
    const size_t needed = static_cast<size_t>(n_tokens) * static_cast<size_t>(rows->width);
    if (rows->data.size() < needed) rows->data.resize(needed);
  }
  rope_table_ = make_rope_table(config.rope, rope_freqs, first_position, n_tokens);
}

void ForwardPass::each_token(const std::function<void(int64_t token)>& body) {
  constexpr int64_t tokens_per_chunk = 8;
  if (n_tokens <= tokens_per_chunk) {
    for (int64_t token = 0; token < n_tokens; ++token) body(token);
    return;
  }
  const int64_t n_chunks = (n_tokens + tokens_per_chunk - 1) / tokens_per_chunk;
  pool_.run(n_chunks, [&](int64_t chunk, int) {
    const int64_t end = std::min<int64_t>(n_tokens, (chunk + 1) * tokens_per_chunk);
    for (int64_t token = chunk * tokens_per_chunk; token < end; ++token) body(token);
  });
}

void ForwardPass::rms_norm(const Rows& in, const VectorWeight& weight, Rows& out) {
  assert(static_cast<int>(weight.size()) == in.width);
  each_token([&](int64_t token) {
    rms_norm_row(in.row(token), weight.data(), in.width, config.rms_eps, out.row(token));
  });
}

void ForwardPass::linear(const LinearTaps& names, const WeightView& w, const VectorWeight& scale,
                         const VectorWeight& bias, const Rows& in, Rows& out) {
  assert(w.row_len == in.width && w.n_rows == out.width);
  const bool scaled = !scale.empty(), biased = !bias.empty();
  matmul(w, in.data.data(), in.width, n_tokens, out.data.data(), out.width, numerics_, pool_);
  const bool same_name = std::string_view(names.product) == names.scaled;
  if ((!scaled && !biased) || (names.midway && !(scaled && same_name))) {
    tap(names.product, "MUL_MAT", out);
  }
  if (scaled) {
    multiply(scale, out);
    if (!biased || names.midway) tap(names.scaled, "MUL", out);
  }
  if (biased) {
    each_token([&](int64_t token) { add_row(bias.data(), out.width, out.row(token)); });
    tap(names.biased, "ADD", out);
  }
}

void ForwardPass::rope(Rows& rows, int n_heads) {
  each_token([&](int64_t token) {
    for (int head = 0; head < n_heads; ++head) {
      rotate_head(rope_table_, config.rope, token, rows.row(token) + head * config.head_dim);
    }
  });
}

void ForwardPass::attention(const Rows& q_in, const Rows& k_in, const Rows& v_in, Rows& out) {
  cache_.append(layer, first_position, n_tokens, k_in.data.data(), v_in.data.data());
  causal_attention({.cache = cache_,
                    .layer = layer,
                    .n_heads = config.n_heads,
                    .kq_scale = config.kq_scale,
                    .first_position = first_position,
                    .n_tokens = n_tokens,
                    .round_softmax = round_softmax},
                   q_in.data.data(), out.data.data(), pool_);
}

void ForwardPass::silu_multiply(Rows& gate_rows, const Rows& up_rows) {
  each_token([&](int64_t token) {
    silu_multiply_row(up_rows.row(token), gate_rows.width, gate_rows.row(token));
  });
}

void ForwardPass::relu_squared_multiply(Rows& gate_rows, const Rows& up_rows) {
  each_token([&](int64_t token) {
    relu_squared_multiply_row(up_rows.row(token), gate_rows.width, gate_rows.row(token));
  });
}

void ForwardPass::multiply(const VectorWeight& factor, Rows& rows) {
  assert(factor.size() == 1);
  each_token([&](int64_t token) {
    float* row = rows.row(token);
    for (int i = 0; i < rows.width; ++i) row[i] *= factor[0];
  });
}

void ForwardPass::add(const Rows& term, Rows& sum) {
  each_token([&](int64_t token) { add_row(term.row(token), sum.width, sum.row(token)); });
}

}  // namespace crossval
