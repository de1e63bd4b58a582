// The delta rule that gated delta nets and Kimi Delta Attention share: the state of each head of
// values fades, is read by the key, corrected towards the value and read by the query, token by
// token, as ggml's operation computes prompts too (ggml-cpu/ops.cpp
// `ggml_compute_forward_gated_delta_net_one_chunk`).
#pragma once

#include "native/forward.h"

namespace crossval {

// Queries and keys, behind one another, from pass.recurrent.conv to pass.recurrent.x, each of
// length 1: llama.cpp src/models/models.h `build_gdn_l2_norm`.
void norm_queries_and_keys(ForwardPass& pass);

// pass.recurrent.y of all tokens, and the state after them. Reads queries and keys in x, values
// behind those in conv, beta of each head in b, and in dt g, of each head or of each element of
// its key: the state fades by e^g (what dt holds afterwards). Heads that share a key follow one
// another where `keys_in_runs`, else they come in turn.
void run_delta_rule(ForwardPass& pass, bool keys_in_runs);

}  // namespace crossval
