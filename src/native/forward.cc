#include "native/forward.h"

#include <algorithm>
#include <cassert>
#include <string_view>

#include "native/activation.h"
#include "native/attention.h"
#include "native/sum_order.h"
#include "native/vector_math.h"

namespace crossval {

ForwardPass::ForwardPass(const Arch& arch_in, const Config& config_in, const Weights& weights_in,
                         Numerics numerics, KvCache& cache, ThreadPool& pool)
    : arch(arch_in),
      config(config_in),
      weights(weights_in),
      recurrent_state(config_in),
      numerics_(numerics),
      cache_(cache),
      pool_(pool) {}

void ForwardPass::resize(Rows& rows, int width) const {
  rows.width = width;
  const size_t needed = static_cast<size_t>(n_tokens) * static_cast<size_t>(width);
  if (rows.data.size() < needed) rows.data.resize(needed);
}

void ForwardPass::reset(int n_ctx) {
  cache_.reset(n_ctx);
  recurrent_state.reset();
  indexer_keys.reset(config, n_ctx);
  compressors.assign(config.layers.size(), {});
  ngrams.reset();
}

void ForwardPass::begin(std::span<const TokenId> ids_in, int first_position_in) {
  ids = ids_in;
  n_tokens = static_cast<int>(ids.size());
  first_position = first_position_in;
  chosen.n_entries = 0;
  n_disturbed_ = 0;
  for (Rows* rows : {&x, &normed, &branch}) resize(*rows, config.n_embd);
  if (arch.rope == RopeStyle::none) return;
  rope_table_ = make_rope_table(config.rope, rope_factors_, first_position, n_tokens);
  window_rope_table_ =
      config.window_rope == config.rope
          ? rope_table_
          : make_rope_table(config.window_rope, rope_factors_, first_position, n_tokens);
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

void ForwardPass::each(int64_t n, const std::function<void(int64_t i)>& body) {
  pool_.run(n, [&](int64_t i, int) { body(i); });
}

void ForwardPass::norm(const Rows& in, const Weight& weight, NormKind kind, int n, float eps,
                       Rows& out) {
  const int n_rows = static_cast<int>(weight.vector.size()) / n;
  assert(in.width % n == 0 && out.width == in.width);
  each_token([&](int64_t token) {
    for (int part = 0; part < in.width / n; ++part) {
      const float* from = in.row(token) + part * n;
      float* to = out.row(token) + part * n;
      const float* factors =
          n_rows > 0 ? weight.vector.data() + int64_t{part % n_rows} * n : nullptr;
      (kind == NormKind::rms ? rms_norm_row : layer_norm_row)(from, factors, n, eps, to);
      if (!weight.bias.empty()) add_row(weight.bias.data(), n, to);
    }
  });
}

void ForwardPass::product(const WeightView& w, const float* in, int64_t in_stride, int64_t n,
                          float* out, int64_t out_stride) {
  matmul(w, in, in_stride, n, out, out_stride, numerics_, pool_);
}

void ForwardPass::product_of_each(const Weight& weight, int n, int n_rows, const Rows& in,
                                  Rows& out) {
  for (int i = 0; i < n; ++i) {
    product(expert_matrix(weight, i, n_rows), in.data.data() + int64_t{i} * (in.width / n),
            in.width, n_tokens, out.data.data() + int64_t{i} * (out.width / n), out.width);
  }
}

void ForwardPass::linear(const LinearTaps& names, const Weight& weight, const Rows& in, Rows& out) {
  const WeightView& w = weight.matrix;
  assert(w.row_len == in.width && w.n_rows == out.width);
  const bool scaled = !weight.scale.empty(), biased = !weight.bias.empty();
  product(w, in.data.data(), in.width, n_tokens, out.data.data(), out.width);
  if (sums_otherwise) disturb(out);
  const bool same_name =
      names.product == names.scaled ||
      (names.product && names.scaled && std::string_view(names.product) == names.scaled);
  if ((!scaled && !biased) || (names.midway && !(scaled && same_name))) {
    tap(names.product, "MUL_MAT", out);
  }
  const auto add_bias = [&] {
    each_token([&](int64_t token) { add_row(weight.bias.data(), out.width, out.row(token)); });
    if (!scaled || !names.bias_first || names.midway) tap(names.biased, "ADD", out);
  };
  if (biased && names.bias_first) add_bias();
  if (scaled) {
    assert(weight.scale.size() == 1);
    scale(weight.scale[0], out);
    if (!biased || names.bias_first || names.midway) tap(names.scaled, "MUL", out);
  }
  if (biased && !names.bias_first) add_bias();
}

void ForwardPass::disturb(Rows& sums) {
  const uint64_t nth = n_disturbed_++;
  each_token([&](int64_t token) {
    const auto position = static_cast<uint64_t>(first_position + token);
    disturb_sums(position << 32 | nth, sums.width, sums.row(token));
  });
}

void ForwardPass::rope(Rows& rows, int n_heads, int head_len, int offset, RopeStyle style) {
  const RopeTable& table = layer_config().has_window_rope ? window_rope_table_ : rope_table_;
  each_token([&](int64_t token) {
    for (int head = 0; head < n_heads; ++head) {
      rotate_head(table, style, token, rows.row(token) + head * head_len + offset);
    }
  });
}

void ForwardPass::rope_back(Rows& rows, int n_heads, int head_len, int offset) {
  RopeTable table = layer_config().has_window_rope ? window_rope_table_ : rope_table_;
  for (float& sine : table.sin) sine = -sine;
  each_token([&](int64_t token) {
    for (int head = 0; head < n_heads; ++head) {
      rotate_head(table, config.rope.style, token, rows.row(token) + head * head_len + offset);
    }
  });
}

void ForwardPass::rope_at(int position, int offset, float* row) const {
  const RopeConfig& rope = config.rope_of(layer);
  rotate_head(make_rope_table(rope, rope_factors_, position, 1), rope.style, 0, row + offset);
}

void ForwardPass::append_behind(int index, const float* row) {
  cache_.append(layer, first_entry_behind() + index, 1, row, row);
}

void ForwardPass::attention(const Rows& q_in, const Rows& k_in, const Rows& v_in, Rows& out,
                            const Chosen* chosen_in) {
  cache_.append(layer, first_position, n_tokens, k_in.data.data(), v_in.data.data());
  causal_attention({.cache = cache_,
                    .layer = layer,
                    .n_heads = layer_config().n_heads,
                    .kq_scale = config.kq_scale_of(layer),
                    .first_position = first_position,
                    .n_tokens = n_tokens,
                    .round_softmax = !arch.f32_beside_f16 && !reads_halves,
                    .window_len = layer_config().has_window ? config.window_len : 0,
                    .chunked = arch.window.chunked,
                    .softcap = config.attn_softcap,
                    .alibi_bias = config.alibi_bias,
                    .causal = arch.causal,
                    .sinks = layer_weights()[Role::attn_sinks].vector,
                    .chosen = chosen_in},
                   q_in.data.data(), out.data.data(), pool_);
}

void ForwardPass::activate(Act act, Rows* up_rows, Rows& gate_rows, float limit, bool limit_after) {
  each_token([&](int64_t token) {
    activate_row(act, limit, limit_after, up_rows ? up_rows->row(token) : nullptr, gate_rows.width,
                 gate_rows.row(token));
  });
}

// llama.cpp src/llama-graph.cpp `build_ffn`, `build_moe_ffn`.
void ForwardPass::activate_row(Act act, float limit, bool limit_after, float* up, int n,
                               float* gate) const {
  const auto cap = [&] {
    for (int i = 0; i < n; ++i) gate[i] = std::min(gate[i], limit);
  };
  if (act == Act::situ) return situ(config.situ_beta, config.situ_linear_beta, up, n, gate);
  if (!(limit > 1e-6f) || up == nullptr) return crossval::activate(act, as_ggml(), up, n, gate);
  for (int i = 0; i < n; ++i) up[i] = std::clamp(up[i], -limit, limit);
  if (!limit_after) {
    cap();
    return crossval::activate(act, as_ggml(), up, n, gate);
  }
  crossval::activate(act, as_ggml(), nullptr, n, gate);
  cap();
  multiply_row(up, n, gate);
}

void ForwardPass::gate_by(const Rows& gates, Rows& rows) {
  each_token([&](int64_t token) {
    const float* from = gates.row(token);
    float* to = rows.row(token);
    for (int i = 0; i < rows.width; ++i) to[i] *= sigmoid(from[i]);
  });
}

void ForwardPass::split(const Rows& whole, Rows& first, Rows& second) {
  each_token([&](int64_t token) {
    std::copy_n(whole.row(token), first.width, first.row(token));
    std::copy_n(whole.row(token) + first.width, second.width, second.row(token));
  });
}

void ForwardPass::scale(float factor, Rows& rows) {
  each_token([&](int64_t token) { scale_row(factor, rows.width, rows.row(token)); });
}

void ForwardPass::add(const Rows& term, float factor, Rows& sum) {
  each_token([&](int64_t token) {
    if (factor == 1) return add_row(term.row(token), sum.width, sum.row(token));
    for (int i = 0; i < sum.width; ++i) sum.row(token)[i] += term.row(token)[i] * factor;
  });
}

}  // namespace crossval
