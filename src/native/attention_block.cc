// Queries, keys and values of a layer, their norms and rotation, attention, and the way back.
// Tap names: llama.cpp src/llama-graph.cpp `build_qkv`, `build_attn`, and src/models.
#include <algorithm>
#include <cmath>

#include "native/activation.h"
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

void clamp(ForwardPass& pass, Rows& rows) {
  const float limit = pass.config.clamp_qkv;
  if (!(limit > 0)) return;
  pass.each_token([&](int64_t token) {
    float* row = rows.row(token);
    // NaN passes through both, as in ggml.
    for (int i = 0; i < rows.width; ++i) {
      row[i] = row[i] < -limit ? -limit : row[i] > limit ? limit : row[i];
    }
  });
}

void project(ForwardPass& pass, const Attention& attention, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  if (const Weight& fused = weights[Role::attn_qkv]) {
    pass.resize(pass.qkv, pass.q.width + pass.k.width + pass.v.width);
    pass.linear({"wqkv", "wqkv", "wqkv_b", true}, fused, in, pass.qkv);
    pass.each_token([&](int64_t token) {
      const float* from = pass.qkv.row(token);
      for (Rows* part : {&pass.q, &pass.k, &pass.v}) {
        std::copy_n(from, part->width, part->row(token));
        from += part->width;
      }
    });
  } else {
    const bool midway = !attention.gate_behind_queries;
    const char* q_name = midway ? "Qcur" : "Qcur_full";
    pass.linear({q_name, q_name, q_name, midway}, weights[Role::attn_q], in, pass.q);
    pass.linear({"Kcur", "Kcur", "Kcur", midway}, weights[Role::attn_k], in, pass.k);
    pass.linear({"Vcur", "Vcur", "Vcur", midway}, weights[Role::attn_v], in, pass.v);
  }
  for (Rows* part : {&pass.q, &pass.k, &pass.v}) clamp(pass, *part);
}

// Of each head queries, then its gate: parts pass.q into pass.q and pass.gate.
void part_queries_and_gate(ForwardPass& pass) {
  const int dim = pass.config.head_dim, n = pass.q.width / 2;
  pass.resize(pass.both, n);
  pass.resize(pass.gate, n);
  pass.each_token([&](int64_t token) {
    const float* from = pass.q.row(token);
    for (int at = 0; at < n; at += dim) {
      std::copy_n(from + 2 * at, dim, pass.both.row(token) + at);
      std::copy_n(from + 2 * at + dim, dim, pass.gate.row(token) + at);
    }
  });
  std::swap(pass.q, pass.both);
}

// pass.heads times a function of pass.gate, which has a value for one or more elements.
void multiply_heads(ForwardPass& pass, Attention::Gate gate_kind) {
  const int per_value = pass.heads.width / pass.gate.width;
  pass.each_token([&](int64_t token) {
    const float* gate = pass.gate.row(token);
    float* heads = pass.heads.row(token);
    for (int i = 0; i < pass.heads.width; ++i) {
      const float x = gate[i / per_value];
      heads[i] *= gate_kind == Attention::Gate::sigmoid ? sigmoid(x) : softplus(x, pass.as_ggml());
    }
  });
  pass.tap("attn_gated", "MUL", pass.heads);
}

// Each head times a value of its own.
void multiply_each_head(ForwardPass& pass, const VectorWeight& factors, Rows& rows) {
  const int n = pass.config.head_dim;
  pass.each_token([&](int64_t token) {
    for (int i = 0; i < rows.width; ++i) rows.row(token)[i] *= factors[static_cast<size_t>(i / n)];
  });
}

void norm_queries_and_keys(ForwardPass& pass, const Attention& attention) {
  const WeightsByRole& weights = pass.layer_weights();
  const bool has_gain = attention.qk_norm == QkNorm::query_gain;
  const bool is_plain = has_gain || attention.qk_norm == QkNorm::plain;
  const auto norm_one = [&](Role role, Rows& rows, const char* name) {
    if (!is_plain && !weights[role]) return;
    static const Weight none;
    const int n = attention.qk_norm == QkNorm::row ? rows.width : pass.config.head_dim;
    pass.norm(rows, is_plain ? none : weights[role], attention.qk_norm_kind, n,
              pass.config.norm_eps, rows);
    if (has_gain && role == Role::attn_q_norm) multiply_each_head(pass, weights[role].vector, rows);
    pass.tap(name, "MUL", rows, rows.width / pass.config.head_dim);
  };
  const bool after = attention.qk_norm_after_rope;
  norm_one(Role::attn_q_norm, pass.q, after ? "Qcur_norm" : "Qcur_normed");
  norm_one(Role::attn_k_norm, pass.k, after ? "Kcur_norm" : "Kcur_normed");
}

}  // namespace

// llama.cpp src/llama-graph.cpp `llm_graph_input_attn_temp::set_input`.
void scale_by_position(ForwardPass& pass) {
  const TemperatureConfig& temperature = pass.config.temperature;
  if (temperature.scale == 0) return;
  pass.each_token([&](int64_t token) {
    const auto position = static_cast<float>(pass.first_position + token);
    const float step =
        std::floor((position + temperature.offset) / static_cast<float>(temperature.length));
    const auto factor = static_cast<float>(
        std::log(static_cast<double>(step) + 1.0) * static_cast<double>(temperature.scale) + 1.0);
    scale_row(factor, pass.q.width, pass.q.row(token));
  });
}

void gate_heads(ForwardPass& pass, Attention::Gate gate_kind, const char* tap, const Rows& in) {
  const Weight& weight = pass.layer_weights()[Role::attn_gate];
  const int n = static_cast<int>(weight.matrix.n_rows);
  pass.resize(pass.gate, n);
  pass.linear(tap, weight, in, pass.gate);
  multiply_heads(pass, gate_kind);
}

void attention_block(ForwardPass& pass, const Attention& attention, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const LayerConfig& layer = pass.layer_config();
  const int head_dim = pass.config.head_dim;
  pass.resize(pass.q, layer.n_heads * head_dim * (attention.gate_behind_queries ? 2 : 1));
  pass.resize(pass.k, layer.n_kv_heads * head_dim);
  pass.resize(pass.v, layer.n_kv_heads * pass.config.value_dim);
  pass.resize(pass.heads, layer.n_heads * pass.config.value_dim);
  project(pass, attention, in);
  if (attention.gate_behind_queries) part_queries_and_gate(pass);
  const bool has_norm = attention.qk_norm != QkNorm::none && layer.has_qk_norm;
  if (has_norm && !attention.qk_norm_after_rope) norm_queries_and_keys(pass, attention);
  if (layer.has_rope) {
    pass.rope(pass.q, layer.n_heads);
    pass.tap("Qcur", "ROPE", pass.q, layer.n_heads);
    pass.rope(pass.k, layer.n_kv_heads);
    pass.tap("Kcur", "ROPE", pass.k, layer.n_kv_heads);
  } else if (attention.temperature) {
    scale_by_position(pass);
  }
  if (has_norm && attention.qk_norm_after_rope) norm_queries_and_keys(pass, attention);
  pass.attention(pass.q, pass.k, pass.v, pass.heads, choose_positions(pass, attention.indexer, in));
  pass.tap(attention.heads_tap, "CONT", pass.heads);
  if (attention.sub_norm != Role::none) {
    pass.norm(pass.heads, weights[attention.sub_norm], pass.heads);
    pass.tap("attn_sub_norm", "MUL", pass.heads);
  }
  if (attention.gate_behind_queries) {
    multiply_heads(pass, attention.gate);
  } else if (attention.gate != Attention::Gate::none) {
    gate_heads(pass, attention.gate, "attn_gate_proj", in);
  }
  const char* out = attention.out_tap;
  pass.linear(out, weights[Role::attn_output], pass.heads, pass.branch);
  if (const float factor = pass.config.attention_factor; factor != 1) {
    pass.scale(factor, pass.branch);
    pass.tap("attn_out_scaled", "SCALE", pass.branch);
  }
}

}  // namespace crossval
