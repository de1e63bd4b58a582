// A dense feed-forward part. Tap names: llama.cpp src/llama-graph.cpp `build_ffn`.
#include "native/forward.h"

namespace crossval {

void dense_block(ForwardPass& pass, const Ffn& ffn, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const int n_ff = pass.layer_config().n_ff;
  for (Rows* rows : {&pass.gate, &pass.up}) pass.resize(*rows, n_ff);
  const LinearTaps up_taps = {"ffn_up", "ffn_up_s", "ffn_up_b", true, true};
  if (ffn.fused) {
    pass.resize(pass.both, 2 * n_ff);
    pass.linear(up_taps, weights[Role::ffn_up], in, pass.both);
    pass.split(pass.both, pass.gate, pass.up);
    pass.activate(ffn.act, &pass.up, pass.gate, pass.layer_config().shared_clamp);
  } else if (ffn.gated) {
    pass.linear({"ffn_gate", "ffn_gate_s", "ffn_gate_b", true, true}, weights[Role::ffn_gate], in,
                pass.gate);
    pass.linear(up_taps, weights[Role::ffn_up], in, pass.up);
    pass.activate(ffn.act, &pass.up, pass.gate, pass.layer_config().shared_clamp);
  } else {
    pass.linear(up_taps, weights[Role::ffn_up], in, pass.gate);
    pass.activate(ffn.act, nullptr, pass.gate);
  }
  if (const VectorWeight& scales = weights[Role::ffn_act].vector; !scales.empty()) {
    pass.each_token([&](int64_t token) {
      for (int i = 0; i < n_ff; ++i) pass.gate.row(token)[i] /= scales[static_cast<size_t>(i)];
    });
  }
  pass.tap(ffn.product_tap, ffn.product_op, pass.gate);
  if (ffn.sub_norm != Role::none) {
    pass.norm(pass.gate, weights[ffn.sub_norm], pass.gate);
    pass.tap("ffn_sub_norm", "MUL", pass.gate);
  }
  pass.linear({ffn.out_tap, ffn.out_tap, ffn.out_tap, false, true}, weights[Role::ffn_down],
              pass.gate, pass.branch);
}

}  // namespace crossval
