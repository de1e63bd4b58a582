// Rows that are looked up by the latest ids, gated by how they fit the streams, and what a
// convolution makes of them, added to the streams. Source, and of the names of taps: llama.cpp
// src/models/qwen4exp.cpp `llm_graph_input_ple::set_input`, `build_ple`.
#include "native/ngram_embedding.h"

#include <algorithm>
#include <cmath>

#include "native/activation.h"
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

// Where the rows of a token lie whose latest ids are `ids`, its own first.
void look_up(const NgramConfig& config, std::span<const TokenId> ids, std::span<int64_t> rows) {
  uint64_t mixed = static_cast<uint64_t>(ids[0]) * config.factors[0];
  size_t at = 0;
  for (size_t n = 1; n < ids.size(); ++n) {
    mixed ^= static_cast<uint64_t>(ids[n]) * config.factors[n];
    for (int hash = 0; hash < config.n_hashes; ++hash, ++at)
      rows[at] =
          static_cast<int64_t>(mixed % static_cast<uint64_t>(config.n_rows[at])) + config.first[at];
  }
}

// pass.ngrams.embedding: the rows of each token, behind one another.
void embed(ForwardPass& pass) {
  const NgramConfig& config = pass.config.ngrams;
  const WeightView& table = pass.weights.outside[Role::per_layer_token_embd].matrix;
  NgramState& state = pass.ngrams;
  const auto n_before = static_cast<size_t>(config.n_ids) - 1;
  state.latest.resize(n_before, config.end);
  std::vector<TokenId> all = state.latest;  // oldest first
  all.insert(all.end(), pass.ids.begin(), pass.ids.end());
  std::vector<TokenId> ids(n_before + 1);
  std::vector<int64_t> rows(static_cast<size_t>(config.n_lookups()));
  pass.resize(state.embedding, config.n_lookups() * config.row_len);
  for (int token = 0; token < pass.n_tokens; ++token) {
    bool is_cut = false;
    for (size_t back = 0; back <= n_before; ++back) {
      const TokenId id = all[n_before + static_cast<size_t>(token) - back];
      // Its own end does not cut a token off.
      is_cut = back > 0 && (is_cut || id == config.end);
      ids[back] = is_cut ? config.end : id;
    }
    look_up(config, ids, rows);
    float* to = state.embedding.row(token);
    for (const int64_t row : rows) {
      get_row(table, row, to);
      to += config.row_len;
    }
  }
  state.latest.assign(all.end() - static_cast<ptrdiff_t>(n_before), all.end());
}

// Of each stream the gate of its key and query.
float gate_of(const float* key, const float* query, int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i) sum += double{key[i] * query[i]};
  const float score = static_cast<float>(sum) * (1.0f / std::sqrt(static_cast<float>(n)));
  const float size = std::sqrt(std::max(std::abs(score), 1e-6f));
  return sigmoid(score > 0 ? size : score < 0 ? -size : 0.0f);
}

// out = silu of each channel's sum over tokens that lie n_ids apart. Moves the history.
void convolve(ForwardPass& pass, const Rows& in, Rows& out) {
  const NgramConfig& config = pass.config.ngrams;
  const VectorWeight& kernel = pass.layer_weights()[Role::ple_conv1d].vector;
  const int width = in.width, n_conv = config.n_conv;
  const int n_before = (n_conv - 1) * config.n_ids;
  std::vector<float>& history = pass.ngrams.history;
  const auto size = static_cast<size_t>(n_before) * static_cast<size_t>(width);
  history.resize(size);
  history.insert(history.end(), in.data.begin(),
                 in.data.begin() + static_cast<ptrdiff_t>(pass.n_tokens) * width);
  pass.each_token([&](int64_t token) {
    float* to = out.row(token);
    std::fill_n(to, width, 0.0f);
    for (int k = 0; k < n_conv; ++k) {
      const float* from = history.data() + (token + int64_t{k} * config.n_ids) * width;
      for (int i = 0; i < width; ++i)
        to[i] += from[i] * kernel[static_cast<size_t>(int64_t{i} * n_conv + k)];
    }
  });
  pass.activate(Act::silu, nullptr, out);
  history.erase(history.begin(), history.end() - static_cast<ptrdiff_t>(size));
}

}  // namespace

void add_ngrams(ForwardPass& pass) {
  const WeightsByRole& weights = pass.layer_weights();
  const int n = pass.config.n_embd, n_streams = pass.config.hyper.count, width = n * n_streams;
  const float eps = pass.config.norm_eps;
  NgramState& s = pass.ngrams;
  embed(pass);
  for (Rows* rows : {&s.key, &s.query, &s.gated, &s.conv}) pass.resize(*rows, width);
  pass.resize(s.value, n);
  pass.linear(nullptr, weights[Role::ple_key], s.embedding, s.key);
  pass.linear(nullptr, weights[Role::ple_value], s.embedding, s.value);
  pass.norm(s.key, weights[Role::ple_norm_key], NormKind::rms, n, eps, s.key);
  pass.norm(pass.streams, weights[Role::ple_norm_query], NormKind::rms, n, eps, s.query);
  pass.each_token([&](int64_t token) {
    for (int stream = 0; stream < n_streams; ++stream) {
      const int64_t at = int64_t{stream} * n;
      const float gate = gate_of(s.key.row(token) + at, s.query.row(token) + at, n);
      float* to = s.gated.row(token) + at;
      for (int i = 0; i < n; ++i) to[i] = s.value.row(token)[i] * gate;
    }
  });
  pass.tap("ple_gated_value", "MUL", s.gated, n_streams);
  pass.norm(s.gated, weights[Role::ple_norm_conv], NormKind::rms, n, eps, s.key);
  convolve(pass, s.key, s.conv);
  pass.tap("ple_conv_out", "SILU", s.conv, n_streams);
  pass.add(s.conv, 1, s.gated);
  pass.add(s.gated, 1, pass.streams);
}

}  // namespace crossval
