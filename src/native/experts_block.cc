// A mixture of experts: the router's choice, each expert over the tokens that chose it, their sum
// in the order of the choice, and the experts that every token takes.
// Tap names: llama.cpp src/llama-graph.cpp `build_moe_ffn`.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "native/activation.h"
#include "native/forward.h"
#include "native/vector_math.h"

namespace crossval {
namespace {

void gate_probabilities(Gating gating, bool as_ggml, float* row, int n) {
  if (gating == Gating::softmax) return softmax_row(row, n);
  if (gating == Gating::softmax_weight) return;
  if (gating == Gating::sqrt_softplus) {
    for (int i = 0; i < n; ++i) row[i] = std::sqrt(softplus(row[i], as_ggml));
    return;
  }
  for (int i = 0; i < n; ++i) row[i] = sigmoid(row[i]);
}

// Only experts of the best groups stay (arXiv:2412.19437, 2.1.2: the two best of each group speak
// for it).
void keep_best_groups(const ExpertConfig& config, std::vector<float>& selection) {
  if (config.n_groups <= 1) return;
  const int size = config.n_experts / config.n_groups;
  std::vector<std::pair<float, int>> groups;
  for (int group = 0; group < config.n_groups; ++group) {
    std::vector<float> best(selection.begin() + group * size,
                            selection.begin() + (group + 1) * size);
    std::ranges::sort(best, std::greater<>());
    groups.emplace_back(best[0] + (size > 1 ? best[1] : 0.0f), group);
  }
  std::ranges::stable_sort(groups, [](const auto& a, const auto& b) { return a.first > b.first; });
  for (size_t i = static_cast<size_t>(config.n_groups_used); i < groups.size(); ++i) {
    std::fill_n(selection.begin() + groups[i].second * size, size,
                -std::numeric_limits<float>::infinity());
  }
}

// Of the experts that a token takes.
void finish_weights(const ExpertConfig& config, int n_used, float* weights) {
  if (config.weights_norm) {
    float sum = 0;
    for (int rank = 0; rank < n_used; ++rank) sum += weights[rank];
    sum = std::max(sum, 6.103515625e-5f);  // the smallest normal half float, as llama.cpp
    for (int rank = 0; rank < n_used; ++rank) weights[rank] /= sum;
  }
  scale_row(config.weights_scale, n_used, weights);
}

// The experts that a token wants most, best first: n_used of them. `row` holds the router's logits,
// and then what weights are made of. Told to make the other choice, it takes the first expert that
// it would not in place of the last that it would; what is returned is the choice before that.
RoutingChoice choose(const ForwardPass& pass, Experts::Choice choice, int64_t token, float* row,
                     int* chosen) {
  const ExpertConfig& config = pass.config.experts;
  const auto n_used = static_cast<size_t>(pass.layer_config().n_experts_used);
  const VectorWeight& bias = pass.layer_weights()[Role::exp_probs_b].vector;
  std::vector<float> logits(row, row + config.n_experts);
  gate_probabilities(config.gating, pass.as_ggml(), row, config.n_experts);
  std::vector<float> selection(row, row + config.n_experts);
  if (choice != Experts::Choice::probabilities) selection = std::move(logits);
  if (choice == Experts::Choice::sigmoids) {
    for (float& x : selection) x = sigmoid(x);
  }
  for (size_t i = 0; i < bias.size(); ++i) selection[i] += bias[i];
  keep_best_groups(config, selection);
  std::vector<int> order(selection.size());
  std::iota(order.begin(), order.end(), 0);
  const auto wanted = [&](int expert) { return selection[static_cast<size_t>(expert)]; };
  std::ranges::stable_sort(order, std::greater<>(), wanted);
  RoutingChoice out{.margin = std::numeric_limits<float>::infinity(), .last = order[n_used - 1]};
  if (n_used < order.size()) {
    int &last = order[n_used - 1], &next = order[n_used];
    out.margin = wanted(last) - wanted(next);
    const int position = pass.first_position + static_cast<int>(token);
    if (pass.routing_tips && pass.routing_tips->contains({position, pass.layer})) {
      std::swap(last, next);
    }
  }
  std::copy_n(order.begin(), n_used, chosen);
  return out;
}

// Those that the table has for a token, of which nothing is chosen; what is no expert's number is
// the nearest that is.
void look_up(const ForwardPass& pass, const std::vector<int32_t>& table, int64_t token, float* row,
             int* chosen) {
  const ExpertConfig& config = pass.config.experts;
  const auto n_used = static_cast<size_t>(pass.layer_config().n_experts_used);
  gate_probabilities(config.gating, pass.as_ggml(), row, config.n_experts);
  const auto id = static_cast<size_t>(pass.ids[static_cast<size_t>(token)]);
  for (size_t i = 0; i < n_used; ++i)
    chosen[i] = std::clamp(table[id * n_used + i], 0, config.n_experts - 1);
}

void route(ForwardPass& pass, const Experts& experts, const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  const ExpertConfig& config = pass.config.experts;
  const int n_used = pass.layer_config().n_experts_used;
  pass.resize(pass.router, config.n_experts);
  pass.linear({"ffn_moe_logits", "ffn_moe_logits", "ffn_moe_logits_biased", true},
              weights[Role::ffn_gate_inp], experts.router_reads_layer_input ? pass.layer_input : in,
              pass.router);
  const Weight& by_token = weights[Role::ffn_gate_tid2eid];
  const auto n_tokens = static_cast<size_t>(pass.n_tokens);
  std::vector<RoutingChoice> choices(pass.routing_log && !by_token ? n_tokens : 0);
  pass.experts.chosen.resize(n_tokens * static_cast<size_t>(n_used));
  pass.experts.weights.resize(pass.experts.chosen.size());
  pass.each_token([&](int64_t token) {
    const auto at = static_cast<size_t>(token * n_used);
    int* chosen = &pass.experts.chosen[at];
    float *of_chosen = &pass.experts.weights[at], *row = pass.router.row(token);
    if (by_token) {
      look_up(pass, by_token.table, token, row, chosen);
    } else {
      const RoutingChoice choice = choose(pass, experts.choice, token, row, chosen);
      if (!choices.empty()) choices[static_cast<size_t>(token)] = choice;
    }
    for (int i = 0; i < n_used; ++i) of_chosen[i] = row[chosen[i]];
    if (config.gating == Gating::softmax_weight) softmax_row(of_chosen, n_used);
    finish_weights(config, n_used, of_chosen);
  });
  if (!choices.empty()) pass.routing_log->keep(pass.layer, pass.first_position, choices);
  if (config.gating != Gating::softmax_weight) {
    const char* op = config.gating == Gating::softmax         ? "SOFT_MAX"
                     : config.gating == Gating::sqrt_softplus ? "SQRT"
                                                              : "SIGMOID";
    pass.tap("ffn_moe_probs", op, pass.router);
  }
}

void expert_linear(ForwardPass& pass, const Weight& weight, int expert, const Rows& in, int width,
                   Rows& out) {
  const size_t n = pass.experts.slots.size();
  out.width = width;
  out.data.resize(std::max(out.data.size(), n * static_cast<size_t>(width)));
  pass.product(expert_matrix(weight, expert, width), in.data.data(), in.width,
               static_cast<int64_t>(n), out.data.data(), width);
  const size_t at = static_cast<size_t>(expert);
  for (size_t i = 0; i < n; ++i) {
    float* row = out.row(static_cast<int64_t>(i));
    if (!weight.scale.empty()) scale_row(weight.scale[at], width, row);
    if (!weight.bias.empty()) add_row(&weight.bias[at * static_cast<size_t>(width)], width, row);
  }
}

// Experts of one kind, of whom each token takes n_used.
struct ExpertSet {
  Role gate_up, gate, up, down;
  int n_experts, n_used, n_ff;
};

// One expert over the tokens that chose it, into the results of their slots.
void run_expert(ForwardPass& pass, const Experts& experts, const ExpertSet& set, int expert,
                const Rows& in) {
  const WeightsByRole& weights = pass.layer_weights();
  ExpertScratch& scratch = pass.experts;
  const size_t n = scratch.slots.size();
  const int n_embd = in.width;
  scratch.in.width = n_embd;
  scratch.in.data.resize(std::max(scratch.in.data.size(), n * static_cast<size_t>(n_embd)));
  for (size_t i = 0; i < n; ++i) {
    std::copy_n(in.row(scratch.slots[i] / set.n_used), n_embd,
                scratch.in.row(static_cast<int64_t>(i)));
  }
  if (experts.weights_before) {
    for (size_t i = 0; i < n; ++i) {
      scale_row(scratch.weights[static_cast<size_t>(scratch.slots[i])], n_embd,
                scratch.in.row(static_cast<int64_t>(i)));
    }
  }
  const int n_ff = set.n_ff;
  if (const Weight& fused = weights[set.gate_up]) {
    expert_linear(pass, fused, expert, scratch.in, 2 * n_ff, scratch.out);
    for (Rows* rows : {&scratch.gate, &scratch.up}) {
      rows->width = n_ff;
      rows->data.resize(std::max(rows->data.size(), n * static_cast<size_t>(n_ff)));
    }
    for (int64_t row = 0; row < static_cast<int64_t>(n); ++row) {
      std::copy_n(scratch.out.row(row), n_ff, scratch.gate.row(row));
      std::copy_n(scratch.out.row(row) + n_ff, n_ff, scratch.up.row(row));
    }
  } else if (!experts.gated) {
    expert_linear(pass, weights[set.up], expert, scratch.in, n_ff, scratch.gate);
  } else {
    expert_linear(pass, weights[set.gate], expert, scratch.in, n_ff, scratch.gate);
    expert_linear(pass, weights[set.up], expert, scratch.in, n_ff, scratch.up);
  }
  for (size_t i = 0; i < n; ++i) {
    const auto row = static_cast<int64_t>(i);
    pass.activate_row(experts.act, pass.layer_config().clamp, experts.clamp_after,
                      experts.gated ? scratch.up.row(row) : nullptr, n_ff, scratch.gate.row(row));
  }
  expert_linear(pass, weights[set.down], expert, scratch.gate, n_embd, scratch.out);
  for (size_t i = 0; i < n; ++i) {
    const auto slot = static_cast<size_t>(scratch.slots[i]);
    const float* row = scratch.out.row(static_cast<int64_t>(i));
    const float weight = experts.weights_before ? 1.0f : scratch.weights[slot];
    float* to = &scratch.results[slot * static_cast<size_t>(n_embd)];
    for (int j = 0; j < n_embd; ++j) to[j] = row[j] * weight;
  }
}

// What every token takes beside its experts, into pass.branch.
void run_shared(ForwardPass& pass, const FeedForward& ffn, const Rows& in) {
  const Experts& experts = ffn.experts;
  const WeightsByRole& weights = pass.layer_weights();
  const int n_ff = pass.config.experts.n_ff_shared;
  for (Rows* rows : {&pass.gate, &pass.up}) pass.resize(*rows, n_ff);
  const LinearTaps up_taps = {"ffn_up", "ffn_up_s", "ffn_up_b", true, true};
  if (experts.shared_fused) {
    pass.resize(pass.both, 2 * n_ff);
    pass.linear(up_taps, weights[Role::ffn_up_shexp], in, pass.both);
    pass.split(pass.both, pass.gate, pass.up);
  } else if (!experts.gated) {
    pass.linear(up_taps, weights[Role::ffn_up_shexp], in, pass.gate);
  } else {
    pass.linear({"ffn_gate", "ffn_gate_s", "ffn_gate_b", true, true}, weights[Role::ffn_gate_shexp],
                in, pass.gate);
    pass.linear(up_taps, weights[Role::ffn_up_shexp], in, pass.up);
  }
  pass.activate(experts.act, experts.gated ? &pass.up : nullptr, pass.gate,
                pass.layer_config().shared_clamp, experts.clamp_after);
  if (experts.gated) pass.tap(ffn.dense.product_tap, ffn.dense.product_op, pass.gate);
  pass.linear({"ffn_shexp", "ffn_shexp", "ffn_shexp", false, true}, weights[Role::ffn_down_shexp],
              pass.gate, pass.branch);
  if (!experts.shared_gate) return;
  const VectorWeight& gate = weights[Role::ffn_gate_inp_shexp].vector;
  pass.each_token([&](int64_t token) {
    double sum = 0;
    for (size_t i = 0; i < gate.size(); ++i) sum += double{gate[i]} * in.row(token)[i];
    scale_row(sigmoid(static_cast<float>(sum)), pass.branch.width, pass.branch.row(token));
  });
  pass.tap(experts.shared_tap, "MUL", pass.branch);
}

// The experts' short rows become whole ones.
void widen(ForwardPass& pass) {
  const WeightsByRole& weights = pass.layer_weights();
  if (weights[Role::ffn_routed_norm])
    pass.norm(pass.mixture, weights[Role::ffn_routed_norm], pass.mixture);
  std::swap(pass.mixture, pass.experts.latent);
  pass.resize(pass.mixture, pass.config.n_embd);
  pass.linear(nullptr, weights[Role::ffn_routed_up], pass.experts.latent, pass.mixture);
}

// The sums of what the tokens chose.
void run_chosen(ForwardPass& pass, const Experts& experts, const ExpertSet& set, const Rows& in,
                Rows& out) {
  const int n_embd = in.width;
  ExpertScratch& scratch = pass.experts;
  scratch.results.resize(scratch.chosen.size() * static_cast<size_t>(n_embd));
  for (int expert = 0; expert < set.n_experts; ++expert) {
    scratch.slots.clear();
    for (size_t slot = 0; slot < scratch.chosen.size(); ++slot) {
      if (scratch.chosen[slot] == expert) scratch.slots.push_back(static_cast<int>(slot));
    }
    if (!scratch.slots.empty()) run_expert(pass, experts, set, expert, in);
  }
  pass.resize(out, n_embd);
  pass.each_token([&](int64_t token) {
    const float* first = &scratch.results[static_cast<size_t>(token * set.n_used * n_embd)];
    std::copy_n(first, n_embd, out.row(token));
    for (int rank = 1; rank < set.n_used; ++rank) {
      add_row(first + int64_t{rank} * n_embd, n_embd, out.row(token));
    }
  });
}

// The adjugate experts of those that were chosen (arXiv:2508.07785), over their sum. So llama.cpp
// has it (build_moe_ffn): an adjugate one has the weight of the expert of its own number, and where
// two chosen experts share it, it counts twice.
void add_adjugates(ForwardPass& pass, const Experts& experts) {
  const ExpertConfig& config = pass.config.experts;
  const int n = config.n_experts / config.n_sharing;
  const int n_chosen = pass.layer_config().n_experts_used, n_used = std::min(n, n_chosen);
  const float share = n == config.n_experts ? 1.0f : 1.0f / static_cast<float>(config.n_sharing);
  ExpertScratch& scratch = pass.experts;
  const std::vector<int> chosen = scratch.chosen;
  scratch.chosen.resize(static_cast<size_t>(pass.n_tokens) * static_cast<size_t>(n_used));
  scratch.weights.resize(scratch.chosen.size());
  pass.each_token([&](int64_t token) {
    const auto at = static_cast<size_t>(token * n_used);
    for (int rank = 0; rank < n_used; ++rank) {
      const int expert = chosen[static_cast<size_t>(token * n_chosen + rank)];
      const int adjugate = static_cast<int>(static_cast<float>(expert) * share);
      scratch.chosen[at + static_cast<size_t>(rank)] = adjugate;
      scratch.weights[at + static_cast<size_t>(rank)] = pass.router.row(token)[adjugate];
    }
    finish_weights(config, n_used, &scratch.weights[at]);
  });
  run_chosen(pass, experts,
             {Role::none, Role::ffn_gate_chexps, Role::ffn_up_chexps, Role::ffn_down_chexps, n,
              n_used, config.n_ff_adjugate},
             pass.mixture, pass.branch);
  pass.tap("ffn_adj_moe_out", n_used > 1 ? "ADD" : "CONT", pass.branch);
  pass.add(pass.branch, config.adjugate_scale, pass.mixture);
  pass.tap("ffn_final_moe_out", "ADD", pass.mixture);
}

// No expert is asked (Experts::left_out).
void activate_input(ForwardPass& pass, Act act, const Rows& in) {
  std::copy_n(in.data.begin(), static_cast<size_t>(pass.n_tokens) * in.width,
              pass.branch.data.begin());
  pass.activate(act, nullptr, pass.branch);
  pass.tap("ffn_out", "SILU", pass.branch);
}

}  // namespace

void experts_block(ForwardPass& pass, const FeedForward& ffn, const Rows& in) {
  if (ffn.experts.left_out) return activate_input(pass, ffn.experts.act, in);
  const ExpertConfig& config = pass.config.experts;
  const int n_used = pass.layer_config().n_experts_used;
  const int n_embd = config.n_latent != 0 ? config.n_latent : pass.config.n_embd;
  route(pass, ffn.experts, in);
  if (config.n_latent != 0) {
    pass.resize(pass.experts.latent, n_embd);
    pass.linear(nullptr, pass.layer_weights()[Role::ffn_routed_down], in, pass.experts.latent);
  }
  run_chosen(pass, ffn.experts,
             {Role::ffn_gate_up_exps, Role::ffn_gate_exps, Role::ffn_up_exps, Role::ffn_down_exps,
              config.n_experts, n_used, pass.layer_config().n_ff_expert},
             config.n_latent != 0 ? pass.experts.latent : in, pass.mixture);
  pass.tap("ffn_moe_out", n_used > 1 ? "ADD" : "CONT", pass.mixture);
  if (ffn.experts.adjugate) add_adjugates(pass, ffn.experts);
  if (config.n_latent != 0) widen(pass);
  if (config.n_ff_shared > 0) {
    run_shared(pass, ffn, in);
    pass.add(pass.branch, 1, pass.mixture);
    if (ffn.experts.sum_factor == 1) pass.tap("ffn_out", "ADD", pass.mixture);
  }
  if (ffn.experts.dense_beside && pass.layer_weights()[Role::ffn_up]) {
    dense_block(pass, ffn.dense, in);
    pass.add(pass.branch, 1, pass.mixture);
  }
  if (ffn.experts.sum_factor != 1) {
    pass.scale(ffn.experts.sum_factor, pass.mixture);
    pass.tap("ffn_out", "SCALE", pass.mixture);
  }
  std::swap(pass.mixture, pass.branch);
}

}  // namespace crossval
