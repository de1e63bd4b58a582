// The result of trace, trace-diff and trace --self, described once (fields.h).
#pragma once

#include "verdict/fields.h"
#include "verdict/trace_report.h"

namespace crossval {

// -1 = unknown there, null here.
inline std::optional<int64_t> from_zero(int64_t value) {
  return value < 0 ? std::nullopt : std::optional(value);
}

struct NonFiniteOf {
  const std::optional<TapDistance>& distance;
};
template <class V>
void describe(V& v, const NonFiniteOf& of) {
  const auto count = [&](int64_t TapDistance::*member) {
    return of.distance ? std::optional((*of.distance).*member) : std::nullopt;
  };
  v("engine", count(&TapDistance::n_non_finite_engine), "");
  v("backend", count(&TapDistance::n_non_finite_backend), "");
}

// The keys that a tensor has as a row of `taps` and as `first_divergence`.
template <class V>
void describe_tap(V& v, const TapReport& tap) {
  v("tensor", tap.tensor, "llama.cpp's name");
  v("occurrence", tap.occurrence, "how many of this name came before it in its eval");
  v("op", tap.op, "ggml's name of the operation");
  v("layer", from_zero(tap.layer), "null: outside of the layers");
  v.known("weight", tap.weight, "the first weight that goes into it");
}

template <class V>
void describe_distance(V& v, const TapReport& tap) {
  const auto& d = tap.distance;
  v("rel_l2", tap.rel_l2,
    "distance of the two whole runs there; null where the other side has no such tensor");
  v("max_abs", d ? std::optional(d->max_abs) : std::nullopt, "their largest difference there");
  v("worst_position", d ? from_zero(d->worst_position) : std::nullopt,
    "where they are farthest apart");
  v("non_finite", NonFiniteOf{d}, "NaN and Inf on each side");
  v("same_shape", d ? std::optional(d->same_shape) : std::nullopt,
    "false: they cannot be compared value by value");
}

template <class V>
void describe(V& v, const TapReport& tap) {
  describe_tap(v, tap);
  v("first_position", tap.first_position,
    "ids evaluated before the graph it belongs to (decoding, ubatches)");
  describe_distance(v, tap);
  v("own_error", tap.own_error,
    "relative error against what its own inputs call for; null: not recomputed, see note");
  v("floor", tap.floor, "what rounding explains of it, over the whole tensor");
  v("ratio", tap.ratio,
    "the worst element, row or column over its own bound; above 1: not rounding");
  v.known("arithmetic", tap.arithmetic,
          "the rounding of activations that fits what the engine computed: q8_1, f16, f32, ...");
  v("verdict", verdict_name(tap.verdict), "ok, diverged or not_replayed");
  v.known("note", tap.note, "why it was not recomputed");
}

template <class V>
void describe(V& v, const TraceDivergence& found) {
  const CauseInfo& info = cause_info(found.cause);
  describe_tap(v, found.tap);
  v("side", found.in_engine ? "engine" : "backend",
    "whose run is wrong; engine only where that is an engine of its own");
  v("position", from_zero(found.position), "the worst row's");
  v("column", from_zero(found.column), "the output that stands out, null: none");
  v("error", found.tap.own_error, "as own_error of taps");
  describe_distance(v, found.tap);
  v("floor", found.tap.floor, "as in taps");
  v("ratio", found.tap.ratio, "as in taps");
  v("kind", info.kind, "weights, hyperparameter, op, graph, tokens or nondeterminism");
  v("cause", info.word, "one word, of the table in src/replay/cause_words.h");
  v("explanation", found.explanation, "a sentence with the numbers");
}

template <class V>
void describe(V& v, const TraceFault& fault) {
  const CauseInfo& info = cause_info(fault.cause);
  v("cause", info.word, "one word, of the table in src/replay/cause_words.h");
  v("kind", info.kind, "as in first_divergence");
  v("tensors", fault.tensors, "wrong by themselves for this cause, in graph order");
  v("layers", fault.layers, "theirs");
  v("weights", fault.weights, "that go into them, each once");
  v("weight_types", fault.weight_types, "theirs");
  v("share", fault.share,
    "of the distance between the logits: what native makes of this fault alone, its weights read "
    "from the backend's file; null: not known, or the only fault");
  v("explanation", fault.explanation, "of the first of them, a sentence");
}

template <class V>
void describe(V& v, const Coverage::OfType& of) {
  v("type", of.type, "of the weights");
  v("recomputed", of.n_recomputed, "products and look-ups with them that were recomputed");
  v("of", of.n, "all of them");
}

struct CoverageOf {
  const TraceReport& report;
};
template <class V>
void describe(V& v, const CoverageOf& of) {
  const Coverage& coverage = of.report.coverage;
  v("recomputed", coverage.n_recomputed, "operations recomputed from their own inputs");
  v("of", coverage.n, "all that compute something");
  v("by_weight_type", coverage.by_weight_type, "the same for those that read weights");
  v("not_recomputed", coverage.missing, "products with weights that could not be checked");
  v("not_shown", coverage.not_shown,
    "weights that the model needs and the engine did not show the use of: what it does with them "
    "is not known");
  v("structure", of.report.structure_checked ? "checked" : "operations_only",
    "checked: every operation that the architecture calls for is there, and none is too many");
}

template <class V>
void describe(V& v, const UnpairedReport& tap) {
  v("tensor", tap.tensor, "");
  v("occurrence", tap.occurrence, "");
  v("side", tap.side, "the only one that has it");
}

template <class V>
void describe(V& v, const SelfRow& row) {
  const bool ran = row.bit_equal.has_value();
  const auto measured = [&](auto value) { return ran ? std::optional(value) : std::nullopt; };
  v("setting", row.setting, "what was changed");
  v.known("changed", row.changed, "to what");
  v("expected", row.must_be_equal ? "same" : "rounding", "what a correct engine may do");
  v("bit_equal", row.bit_equal, "whether the logits are the same bits; null: refused");
  v("n_positions", row.n_positions, "compared");
  v("rel_l2", measured(row.rel_l2), "of the logits, the largest");
  v("worst_position", from_zero(row.worst_position), "its position");
  v("min_cosine", measured(row.min_cosine), "of the logits");
  v("top1_changes", measured(row.n_top1_changes), "positions with another most likely token");
  v.known("first_tensor", row.first_tensor, "the first in the graph with other values");
  v("occurrence", row.op.empty() ? std::nullopt : std::optional(row.occurrence), "of that");
  v.known("op", row.op, "of that");
  v("first_position", from_zero(row.first_position), "its first row that differs");
  v("n_recomputed", row.n_recomputed, "tensors of this run recomputed from their own inputs");
  v("n_failed", row.n_failed, "of them, those that only rounding under this setting spoils");
  v("largest_ratio", row.largest_ratio, "error over bound of those that pass");
  v("verdict", self_verdict_name(row.verdict), "equal, rounding, diverged or refused");
  v.known("note", row.note, "what else there is to say");
}

template <class V>
void describe(V& v, const TraceReport& report) {
  const Report& base = report.base;
  describe_head(v, "crossval/trace/1", status_name(base.status), base.exit_code(),
                finding_of(report), base.run);
  describe_sides(v, base);
  v("n_taps", report.n_taps, "tensors seen");
  v("n_replayed", report.n_replayed, "recomputed from their own inputs; trace-diff: 0");
  v("n_diverged", report.n_diverged, "beyond their rounding by themselves");
  v("lifted", report.lifted, "both sides read a copy dequantised to F32");
  v("structure_checked", report.structure_checked,
    "every operation of the whole graph was held against what the architecture calls for: none is "
    "missing or too many but for those in faults");
  v("parts_by_rounding", report.parts_by_rounding,
    "the logits are beyond the tolerance, yet every operation is right and the graphs are alike "
    "(two engines), or they part only where rounding sends a token to another expert (native); the "
    "status is agree");
  v("rounded_types", report.rounded_types,
    "the backend reads the checkpoint that the file was made from: the file's types that round its "
    "weights, to whose rounding operations are held");
  v("parameters_checked", report.parameters_checked,
    "the architecture is known: hyperparameters, mask and use of all weights were checked too");
  v("coverage", CoverageOf{report}, "");
  v("first_divergence", report.first_divergence, "");
  v("faults", report.faults,
    "every independent one, grouped; the first is first_divergence's. What inherits is in none");
  v("self", report.self, "--self: the engine under other settings, else null");
  v("not_replayed", report.not_replayed,
    "operations that could not be recomputed, each once, with the reason");
  v("unread_weights", report.unread_weights,
    "tensors of the model file that no operation of a whole trace reads, those left out that are "
    "faults");
  v("taps", report.taps, "every tensor, in the graph's order");
  v("unpaired", report.unpaired, "trace-diff: tensors of one run only");
  v("summary", base.summary ? std::optional(SummaryOf{base}) : std::nullopt,
    "of the logits, as in crossval/per-token/1; null where they were not compared");
  v("tolerance", ToleranceOf{base}, "");
  v("timing_ms", base.timing, "");
  v("error", base.error, "null where there is none");
}

}  // namespace crossval
