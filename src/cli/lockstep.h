// Drives two engines (and native's second arithmetic) over the same ids and hands their rows,
// position by position, to the comparison. Only a few rows of each side are ever held.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "run/progress.h"
#include "compare/comparison.h"
#include "engine/engine.h"
#include "engine/tap.h"
#include "engine/trace_file.h"

namespace crossval {

struct Sides {
  Engine& engine;
  Engine& backend;
  Engine* rounding = nullptr;           // native under its other arithmetic; null = no noise
  Engine* rounding_base = nullptr;      // native under its own, when `engine` is not native
  TraceWriter* engine_trace = nullptr;  // null = not saved
  TraceWriter* backend_trace = nullptr;
};

// Tensors of both sides on the way. Each sink is called on its side's own thread.
struct TapHooks {
  TapFilter filter;
  std::function<void(std::span<const TokenId> ids)> begin_eval;
  TapSink engine, backend;
  std::function<void(bool is_backend)> ended;  // this side's eval is over
  std::function<void()> abort;                 // a side failed: nobody waits for it any more
};

struct LockstepPlan {
  std::vector<TokenId> prompt;      // evaluated in one piece
  int n_prompt = 0;                 // of them, the ids that are prompt; 0 = all
  int n_decode = 0;                 // ids the backend chooses greedily after the prompt
  std::vector<TokenId> decode_ids;  // n_decode ids to take instead; empty = the backend's choice
  int first_compared = 0;           // positions before it are evaluated, not compared
  bool at_once = false;             // evaluate both sides at the same time
  std::function<std::string(TokenId)> piece;
  const TapHooks* taps = nullptr;  // null = no tensors are taken; else both evaluate at once
};

// Ids evaluated in all: the prompt and the decoded ones. An end-of-text token does not stop the
// decoding: the positions after it are as comparable as those before.
std::vector<TokenId> run_lockstep(const Sides& sides, const LockstepPlan& plan,
                                  Comparison& comparison, ThreadPool& pool, Progress& progress,
                                  double& compare_ms);

// One eval with taps of one side, telling the hooks how it ended.
void eval_tapped(Engine& side, bool is_backend, std::span<const TokenId> ids,
                 const TapHooks& hooks);

// The largest logit's id, the first of equal ones; NaN never wins; 0 when all are NaN.
TokenId greedy_choice(std::span<const float> logits);

}  // namespace crossval
