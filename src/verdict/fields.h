// Every result described once: for each struct its keys in the order of the JSON, their values and
// what they mean. The JSON writer, the reader that checks receipts, and the tables of docs/json.md
// are visitors of these descriptions; a new field is one line here.
//
// A visitor V has
//   v(key, value, meaning)         a value: text, number, flag, list, struct; nullopt = null
//   v.known(key, value, meaning)   the same, where "" or 0 means unknown and becomes null
//   v.always(key, pointer, what)   a struct of which every key is shown, null when pointer is null
//   v.metrics(metrics, asked)      the keys of the metrics' table (compare/metrics.h)
// `describe(v, value)` is found by the type of the value.
#pragma once

#include <type_traits>

#include "base/error.h"
#include "verdict/finding.h"
#include "verdict/report.h"

namespace crossval {

template <class V>
void describe(V& v, const TokenText& token) {
  v("id", token.id, "number in the vocabulary");
  v("text", token.text, "the bytes it stands for; what is no UTF-8 is U+FFFD");
}

template <class V>
void describe(V& v, const Finding& finding) {
  v("headline", finding.headline, "the result in a sentence, as text and page say it");
  v("notes", finding.notes, "what else there is to say, a sentence each");
}

template <class V>
void describe(V& v, const RunInfo& run) {
  v.known("command", run.command, "the command line, as a shell takes it");
  v.known("date", run.date, "when it was started, UTC");
  v.known("version", run.version, "of crossval");
  v.known("commit", run.commit, "that crossval was built from; + = with changes");
  v.known("sandbox", run.sandbox, "what crossval itself is held to, and what the kernel lacks");
}

template <class V>
void describe(V& v, const ModelReport& model) {
  v.known("path", model.path, "the model file");
  v.known("sha256", model.sha256, "of that file; of the first part of a split one");
  v.known("architecture", model.architecture, "general.architecture");
  v.known("quantization", model.quantization, "its file type, else the type of most weights");
  v("n_vocab", model.n_vocab, "rows of the embedding");
  v("n_layers", model.n_layers, "blocks");
  v("n_params", model.n_params, "weights in all tensors");
}

template <class V>
void describe(V& v, const PromptReport& prompt) {
  v("text", prompt.text, "as given; null where ids were given");
  v("template", prompt.template_name, "raw, chatml, ...");
  v("formatted", prompt.formatted, "what was tokenised");
}

// One of the two sides.
struct SideOf {
  const std::optional<EngineReport>& report;
  bool is_backend = false;
};
template <class V>
void describe(V& v, const SideOf& side) {
  const EngineReport empty;
  const EngineReport& engine = side.report ? *side.report : empty;
  const auto if_there = [&](const auto& value) {
    return side.report ? std::optional(value) : std::nullopt;
  };
  v.known("name", engine.info.name, "as the engine calls itself");
  if (side.is_backend) {
    v.known("selected_by", engine.selected_by, "flag, metadata, path or default");
  }
  v.known("version", engine.info.version, "as the engine says it");
  v.known("commit", engine.info.commit, "of the engine's sources, where it tells");
  v.known("library", engine.info.library, "the shared library that a worker loaded");
  v.known("sandbox", engine.info.sandbox, "what its worker is held to, and what the kernel lacks");
  v.known("device", engine.info.device, "what it computed on, as it says");
  v.known("model", engine.info.model, "the file it read");
  v.known("numerics", engine.numerics, "exact or ggml where native is that side");
  v.known("n_threads", engine.info.n_threads, "its threads");
  v("settings", if_there(engine.info.settings),
    "what it ran with, as it reports it. Native: numerics, kv_type_k, kv_type_v, isa, and "
    "i2s_layout for I2_S weights: the layout and, in brackets, how it was found (see inspect)");
  v("log", if_there(engine.log), "warnings and errors that it logged itself, newest last");
}

template <class V>
void describe(V& v, const TokenMismatch& mismatch) {
  v("index", mismatch.index, "the first where the ids differ");
  v("engine", mismatch.engine, "null: this side has ended");
  v("backend", mismatch.backend, "null: this side has ended");
  v("rule", mismatch.rule, "short name of the cause that the hint describes");
  v("hint", mismatch.hint, "what the likely cause is");
}

template <class V>
void describe(V& v, const TokensReport& tokens) {
  v("engine", tokens.engine, "the engine's ids of the prompt");
  v("backend", tokens.backend, "the backend's");
  v("match", tokens.match, "whether they are the same");
  v("first_mismatch", tokens.first_mismatch, "null where there is none");
}

// A position, under the metrics that were asked for.
struct PositionOf {
  const JudgedPosition& position;
  const MetricSet& metrics;
};
template <class V>
void describe(V& v, const PositionOf& of) {
  const JudgedPosition& p = of.position;
  v("index", p.compared.index, "0 = the first id; its row predicts the next one");
  v("phase", phase_name(p.compared.phase), "prompt or decode");
  v("token", p.compared.token, "the id evaluated there");
  v.metrics(p.compared.metrics, of.metrics);
  v("noise", p.compared.rounding, "relative distance that rounding alone makes here");
  v("noise_ratio", p.noise_ratio, "distance over that noise, smoothed");
  v("near_noise_ratio", p.near_noise_ratio, "the same, its mean over neighbouring positions");
  v("verdict", verdict_name(p.verdict), "ok, noise (explained by rounding) or diverged");
}

// The summary, where nothing was judged too.
struct SummaryOf {
  const Report& report;
};
template <class V>
void describe(V& v, const SummaryOf& of) {
  const Summary empty;
  const Summary& s = of.report.summary ? *of.report.summary : empty;
  v("n_positions", s.n_positions, "compared");
  v("first_divergence", s.first_divergence, "index of the first that diverged");
  v("above_noise", s.above_noise, "beyond the noise yet within the cosine; null: not measured");
  v("min_cosine", s.min_cosine, "over all positions");
  v("max_abs", s.max_abs, "over all positions");
  v("max_top_rms", s.max_top_rms, "of partial rows: over all positions");
  v("fewest_common", s.fewest_common, "of partial rows: tokens that both sides gave at a position");
  v("mean_kl", s.mean_kl, "over the positions that have one");
  v("max_kl", s.max_kl, "over all positions");
  v("top1_agreement", s.top1_agreement, "share of positions with the same most likely token");
  v("n_diverged", s.n_diverged, "positions that diverged");
  v("n_noise", s.n_noise, "positions below the cosine that rounding explains");
  v("n_ties", s.n_ties, "flips of the most likely token that are ties");
  v("n_non_finite", s.n_non_finite, "positions with NaN or Inf");
  v("max_noise_ratio", s.max_noise_ratio, "over all positions");
  v("max_near_noise_ratio", s.max_near_noise_ratio, "over all positions");
  v("median_noise", s.median_noise, "over all positions");
  v("shift", s.shift, "rows to move one side by for the two to fit; null: none");
  v.known("non_finite_weight", of.report.non_finite_weight,
          "tensor[index] of the first weight that is NaN or Inf");
}

struct ToleranceOf {
  const Report& report;
};
template <class V>
void describe(V& v, const ToleranceOf& of) {
  const Tolerance& t = of.report.tolerance;
  const bool alike = of.report.summary && of.report.summary->rounds_alike;
  v("gate", gate_name(t.gate), "auto, cosine or noise");
  v("cos_tol", t.cos_tol, "the cosine a position must reach");
  v("noise_ratio", noise_ratio_limit(1, alike), "limit of noise_ratio");
  v("near_noise_ratio", noise_ratio_limit(2 * kRatioWindow + 1, alike),
    "limit of near_noise_ratio");
}

// Times of one side; all keys, null before it ran.
struct EngineTimesOf {
  const std::optional<EngineTiming>& timing;
  bool is_backend = false;
};
template <class V>
void describe(V& v, const EngineTimesOf& of) {
  const auto stage = [&](double EngineTiming::*member) {
    return of.timing ? std::optional((*of.timing).*member) : std::nullopt;
  };
  if (of.is_backend) v("start", stage(&EngineTiming::start_ms), "until it answered");
  v("load", stage(&EngineTiming::load_ms), "loading the model");
  v("tokenize", stage(&EngineTiming::tokenize_ms), "the prompt's ids");
  v("eval", stage(&EngineTiming::eval_ms), "all ids, logits included");
}

template <class V>
void describe(V& v, const TimingReport& timing) {
  v("total", timing.total_ms, "of the command, in milliseconds as all here");
  v("engine", EngineTimesOf{timing.engine}, "");
  v("backend", EngineTimesOf{timing.backend, true}, "");
  v("noise", timing.noise_ms, "measuring the noise");
  v("compare", timing.compare_ms, "comparing rows");
}

template <class V>
void describe(V& v, const ErrorReport& error) {
  v("code", error.code, "one word for programs");
  v("what", error.what, "what happened");
  v("where", error.where, "where");
  v("fix", error.fix, "how to mend it");
}

template <class V>
void describe(V& v, const KeyDifference& key) {
  v("key", key.key, "of the metadata");
  v("engine", key.engine, "its value in the engine's file; null: the file has no such key");
  v("backend", key.backend, "its value in the backend's file");
  v("bears", key.bears, "whether engines compute with it");
}

template <class V>
void describe(V& v, const TensorDifference& group) {
  v("difference", difference_name(group.kind),
    "only_engine, only_backend, shape, type (stored otherwise) or values");
  v.known("type", group.type, "of the weights in the engine's file; null: not in it");
  v.known("backend_type", group.backend_type, "the same in the backend's file");
  v("n", group.n, "tensors that differ like this");
  v("of", group.of, "all tensors of that type in that file");
  v("tensors", group.tensors, "the first few of them");
  v("rel_l2", group.rel_l2,
    "the largest relative distance of one, from a sample of its rows; null: not decoded here");
  v("is_rounding", group.is_rounding,
    "whether rounding to the two types makes such a distance; null: not known");
  v("bears", group.bears, "false: the same values, or no engine reads it");
}

template <class V>
void describe(V& v, const ModelDiff& diff) {
  v("bears", diff.bears(), "whether any of it changes what is computed: never agreement then");
  v("other_checkpoint", diff.other_checkpoint, "nearly all weights have moved");
  v("adapter_rank", diff.adapter_rank,
    "of the move, where it is a fine-tune by an adapter; else 0");
  v("keys", diff.keys, "metadata, but tokenizer.* and split.*");
  v("tensors", diff.tensors, "grouped by what differs and by type");
  v.known("vocabulary", diff.vocabulary, "what differs in it, in words; null: nothing");
  v.known("template", diff.chat_template, "what differs, in words; null: nothing");
}

// What every result begins with.
template <class V>
void describe_head(V& v, const char* schema, const char* status, int exit_code,
                   const Finding& finding, const RunInfo& run) {
  v("schema", schema, "names this object; keys are only ever added under one name");
  v("status", status,
    "agree (run: ok), diverged, token_mismatch, bad_input, backend_failed, inconclusive");
  v("exit_code", exit_code, "0 to 5, in that order");
  v("finding", finding, "");
  v("run", run, "");
}

template <class V>
void describe_sides(V& v, const Report& report) {
  v("model", report.model, "");
  v("prompt", report.prompt, "");
  v("engine", SideOf{report.engine}, "");
  v("backend", SideOf{report.backend, true}, "");
  v("tokens", report.tokens, "");
  v("model_diff", report.model_diff, "null where both sides read the same");
}

template <class V>
void describe(V& v, const Report& report) {
  describe_head(v, "crossval/per-token/1", status_name(report.status), report.exit_code(),
                finding_of(report), report.run);
  describe_sides(v, report);
  v.list("positions", report.positions, [&](const JudgedPosition& position) {
    return PositionOf{position, report.metrics};
  });
  v("summary", SummaryOf{report}, "");
  v("tolerance", ToleranceOf{report}, "");
  v("timing_ms", report.timing, "");
  v("error", report.error, "null where there is none");
}

template <class V>
void describe(V& v, const Vote& vote) {
  v.known("outlier", vote.outlier, "who differs from all others; null: nobody can be named");
  v("agreeing", vote.agreeing, "those that agree with one another");
  v("reason", vote.reason, "in a sentence");
}

template <class V>
void describe(V& v, const ParityReport& report) {
  describe_head(v, "crossval/parity/1", status_name(report.status()),
                static_cast<int>(report.status()), finding_of(report), report.run);
  v("participants", report.participants,
    "names of all engines, --engine first; a name twice gets its version added");
  v("pairs", report.pairs,
    "one crossval/per-token/1 object for each two, in order (0,1), (0,2), ..., (1,2), ...");
  v("vote", report.vote, "null where too few could be compared, or nobody stands out");
  v("error", report.error(), "the first of the pairs'; null where there is none");
}

template <class V>
void describe(V& v, const RunPosition::Candidate& candidate) {
  describe(v, candidate.token);
  v("logit", candidate.logit, "not normalised");
}

template <class V>
void describe(V& v, const RunPosition& position) {
  v("index", position.index, "0 = the first id");
  v("phase", phase_name(position.phase), "prompt or decode");
  v("token", position.token, "the id evaluated there");
  v("top", position.top, "the likeliest next tokens");
}

struct RunTimesOf {
  const RunReport& report;
};
template <class V>
void describe(V& v, const RunTimesOf& of) {
  const auto stage = [&](double EngineTiming::*member) {
    return of.report.timing ? std::optional((*of.report.timing).*member) : std::nullopt;
  };
  v("total", of.report.total_ms, "of the command, in milliseconds as all here");
  v("load", stage(&EngineTiming::load_ms), "loading the model");
  v("tokenize", stage(&EngineTiming::tokenize_ms), "the prompt's ids");
  v("prompt_eval", stage(&EngineTiming::prompt_eval_ms), "the prompt, logits included");
  v("decode", stage(&EngineTiming::decode_ms), "the ids after it");
}

struct RatesOf {
  const RunReport& report;
};
template <class V>
void describe(V& v, const RatesOf& of) {
  v("prompt", of.report.prompt_tokens_per_second, "");
  v("decode", of.report.decode_tokens_per_second, "");
}

template <class V>
void describe(V& v, const RunReport& report) {
  describe_head(v, "crossval/run/1",
                report.status == Status::agree ? "ok" : status_name(report.status),
                report.exit_code(), finding_of(report), report.run);
  v("model", report.model, "");
  v("prompt", report.prompt, "");
  v("engine", SideOf{report.engine}, "");
  v("tokens", report.tokens, "ids of the prompt, then those decoded");
  v("positions", report.positions, "");
  v("timing_ms", RunTimesOf{report}, "");
  v("tokens_per_second", RatesOf{report}, "");
  v("peak_rss_bytes", report.peak_rss_bytes, "of the engine's process");
  v("error", report.error, "null where there is none");
}

}  // namespace crossval
