// Hyper connections (arXiv:2409.19606), as Hunyuan 4 and DeepSeek V4 have them: several streams of
// residual, weighed by sigmoids of products of all of them; those of DeepSeek are mixed before a
// block's result is added (arXiv:2512.24880). Source: llama.cpp src/models/hy-v4.cpp, deepseek4.cpp
// `build_hc_pre`, `build_hc_sinkhorn`, `build_hc_post`, `build_hc_head`.
#include <algorithm>

#include "native/activation.h"
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

// pass.x = the streams, each times its weight: the first of hyper_weights.
void sum_streams(ForwardPass& pass) {
  pass.each_token([&](int64_t token) {
    const float* weight = pass.hyper_weights.row(token);
    float* sum = pass.x.row(token);
    for (int stream = 0; stream < pass.config.hyper.count; ++stream) {
      const float* from = pass.streams.row(token) + int64_t{stream} * pass.x.width;
      for (int i = 0; i < pass.x.width; ++i) {
        const float term = from[i] * weight[stream];
        sum[i] = stream == 0 ? term : sum[i] + term;
      }
    }
  });
}

// Of what each stream becomes the share of each: `mix`, [of which, of what], made doubly stochastic
// by turns.
void balance(const HyperConfig& hyper, float* mix) {
  const int n = hyper.count;
  const auto divide = [&](int first, int step) {
    float sum = 0;
    for (int i = 0; i < n; ++i) sum += mix[first + i * step];
    for (int i = 0; i < n; ++i) mix[first + i * step] /= sum + hyper.eps;
  };
  for (int from = 0; from < n; ++from) {
    softmax_row(mix + from * n, n);
    for (int to = 0; to < n; ++to) mix[from * n + to] += hyper.eps;
  }
  for (int to = 0; to < n; ++to) divide(to, n);
  for (int round = 1; round < hyper.n_rounds; ++round) {
    for (int from = 0; from < n; ++from) divide(from * n, 1);
    for (int to = 0; to < n; ++to) divide(to, n);
  }
}

// Weights of the streams, in sets: for reading, and behind them for adding to and for mixing.
void weigh(ForwardPass& pass, const Weight& fn, const Weight& base, const Weight& scale,
           const char* tap) {
  const HyperConfig& hyper = pass.config.hyper;
  pass.resize(pass.hyper_normed, pass.streams.width);
  pass.resize(pass.hyper_weights, static_cast<int>(fn.matrix.n_rows));
  pass.norm(pass.streams, Weight{}, NormKind::rms, pass.streams.width, pass.config.norm_eps,
            pass.hyper_normed);
  pass.linear(tap, fn, pass.hyper_normed, pass.hyper_weights);
  pass.each_token([&](int64_t token) {
    float* row = pass.hyper_weights.row(token);
    for (int i = 0; i < pass.hyper_weights.width; ++i) {
      const auto at = static_cast<size_t>(i);
      const auto set = std::min<size_t>(2, at / static_cast<size_t>(hyper.count));
      row[i] = row[i] * scale.vector[set] + base.vector[at];
      if (set == 2) continue;
      row[i] = set == 0 ? sigmoid(row[i]) + hyper.eps
                        : sigmoid(row[i]) * hyper.magnitude + hyper.added_eps;
    }
    if (pass.hyper_weights.width > 2 * hyper.count) balance(hyper, row + 2 * hyper.count);
  });
}

// pass.streams = their mixtures.
void mix_streams(ForwardPass& pass) {
  const int n = pass.config.hyper.count, width = pass.x.width;
  pass.each_token([&](int64_t token) {
    float* before = pass.hyper_normed.row(token);
    float* streams = pass.streams.row(token);
    std::copy_n(streams, n * width, before);
    const float* mix = pass.hyper_weights.row(token) + 2 * n;
    for (int to = 0; to < n; ++to) {
      for (int i = 0; i < width; ++i) {
        float sum = 0;
        for (int from = 0; from < n; ++from)
          sum += before[int64_t{from} * width + i] * mix[from * n + to];
        streams[int64_t{to} * width + i] = sum;
      }
    }
  });
}

}  // namespace

void begin_streams(ForwardPass& pass) {
  pass.resize(pass.streams, pass.config.hyper.count * pass.x.width);
  pass.each_token([&](int64_t token) {
    for (int stream = 0; stream < pass.config.hyper.count; ++stream) {
      std::copy_n(pass.x.row(token), pass.x.width,
                  pass.streams.row(token) + int64_t{stream} * pass.x.width);
    }
  });
}

void read_streams(ForwardPass& pass, const Branch& branch) {
  const WeightsByRole& weights = pass.layer_weights();
  if (pass.arch.hyper == Arch::Hyper::gates) {
    return read_gated_streams(pass, weights[branch.hyper_norm], weights[branch.hyper_down],
                              weights[branch.hyper_up], &weights[branch.hyper_inject]);
  }
  weigh(pass, weights[branch.hyper_fn], weights[branch.hyper_base], weights[branch.hyper_scale],
        "hc_mixes");
  sum_streams(pass);
}

void add_to_streams(ForwardPass& pass, const char* tap) {
  const int n = pass.config.hyper.count;
  const bool mixes = pass.arch.hyper == Arch::Hyper::mixes;
  const int first = pass.arch.hyper == Arch::Hyper::gates ? 0 : n;  // others hold those read with
  if (mixes) mix_streams(pass);
  pass.each_token([&](int64_t token) {
    const float* weight = pass.hyper_weights.row(token) + first;
    const float* term = pass.branch.row(token);
    for (int stream = 0; stream < n; ++stream) {
      float* to = pass.streams.row(token) + int64_t{stream} * pass.x.width;
      for (int i = 0; i < pass.x.width; ++i) to[i] += term[i] * weight[stream];
    }
  });
  pass.tap(tap, pass.arch.hyper == Arch::Hyper::sums ? "CONCAT" : "DSV4_HC_POST", pass.streams, n);
}

void end_streams(ForwardPass& pass) {
  const WeightsByRole& outside = pass.weights.outside;
  if (pass.arch.hyper == Arch::Hyper::gates) {
    return read_gated_streams(pass, outside[Role::output_hc_norm], outside[Role::output_hc_down],
                              outside[Role::output_hc_up], nullptr);
  }
  weigh(pass, outside[Role::output_hc_fn], outside[Role::output_hc_base],
        outside[Role::output_hc_scale], "hc_head_mixes");
  sum_streams(pass);
}

}  // namespace crossval
