// Hyper connections (arXiv:2409.19606), as Hunyuan 4 has them: several streams of residual, weighed
// by sigmoids of products of all of them. Source: llama.cpp src/models/hy-v4.cpp `build_hc_pre`,
// `build_hc_post`, `build_hc_head`.
#include <algorithm>

#include "native/activation.h"
#include "native/forward.h"

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

// Weights of the streams, in sets: for reading, and behind them for adding to.
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
      const auto at = static_cast<size_t>(i), set = at / static_cast<size_t>(hyper.count);
      const float weight = sigmoid(row[i] * scale.vector[set] + base.vector[at]);
      row[i] = (set == 0 ? weight : weight * hyper.magnitude) + hyper.eps;
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
  weigh(pass, weights[branch.hyper_fn], weights[branch.hyper_base], weights[branch.hyper_scale],
        "hc_mixes");
  sum_streams(pass);
}

void add_to_streams(ForwardPass& pass, const char* tap) {
  const int n = pass.config.hyper.count;
  pass.each_token([&](int64_t token) {
    const float* weight = pass.hyper_weights.row(token) + n;
    const float* term = pass.branch.row(token);
    for (int stream = 0; stream < n; ++stream) {
      float* to = pass.streams.row(token) + int64_t{stream} * pass.x.width;
      for (int i = 0; i < pass.x.width; ++i) to[i] += term[i] * weight[stream];
    }
  });
  pass.tap(tap, "CONCAT", pass.streams, n);
}

void end_streams(ForwardPass& pass) {
  const WeightsByRole& outside = pass.weights.outside;
  weigh(pass, outside[Role::output_hc_fn], outside[Role::output_hc_base],
        outside[Role::output_hc_scale], "hc_head_mixes");
  sum_streams(pass);
}

}  // namespace crossval
