// LFM2's short convolution: out(c * conv(b * x)), where b, c and x are thirds of one product.
// Source: llama.cpp src/models/lfm2.cpp `build_shortconv_block`, whose names the taps have.
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {

void short_conv_block(ForwardPass& pass, const ShortConv& conv, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  RecurrentScratch& scratch = pass.recurrent;
  const int n = pass.config.n_embd;
  pass.resize(scratch.in, 3 * n);
  for (Rows* rows : {&scratch.conv_in, &scratch.conv}) pass.resize(*rows, n);
  const char* in_tap = "model.layers.{}.conv.in_proj";
  pass.linear(in_tap, weights[Role::shortconv_in], in, scratch.in);
  pass.each_token([&](int64_t token) {
    const float *b = scratch.in.row(token), *x = b + 2 * n;
    for (int i = 0; i < n; ++i) scratch.conv_in.row(token)[i] = b[i] * x[i];
  });
  pass.recurrent_state.convolve(pass.layer, weights[Role::shortconv_conv], pass.n_tokens,
                                scratch.conv_in.data.data(), scratch.conv.data.data());
  pass.tap("model.layers.{}.conv.conv", "SSM_CONV", scratch.conv);
  pass.each_token(
      [&](int64_t token) { multiply_row(scratch.in.row(token) + n, n, scratch.conv.row(token)); });
  pass.linear(conv.out_tap, weights[Role::shortconv_out], scratch.conv, pass.branch);
}

}  // namespace crossval
