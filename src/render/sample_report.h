// Reports with a value at every key, for the tests of renderers.
#pragma once

#include "verdict/conversion_report.h"
#include "verdict/trace_report.h"

namespace crossval {

inline Report sample_report() {
  Report report;
  report.status = Status::diverged;
  report.model = {"/models/tiny.gguf", "ab12", "llama", "Q4_1", 49152, 30, 134515008};
  report.prompt = {"hi", "chatml", "<|im_start|>user\nhi"};
  EngineInfo info;
  info.name = "native";
  info.version = "0.1";
  info.library = "/lib/libllama.so";
  info.model = "/models/tiny.gguf";
  info.n_threads = 2;
  info.settings = {{"kv_type", "f16"}};
  report.engine = EngineReport{info, "ggml", ""};
  info.name = "llama.cpp";
  report.backend = EngineReport{info, "", "metadata"};
  report.tokens.engine = report.tokens.backend = {1, 2, 3};
  report.tokens.match = true;
  TokenMismatch mismatch;
  mismatch.index = 1;
  mismatch.engine = TokenText{2, " a"};
  mismatch.backend = TokenText{3, "b"};
  mismatch.rule = "text";
  mismatch.hint = "why";
  mismatch.engine_near = {{1, "<s>"}, {2, " a"}};
  mismatch.backend_near = {{1, "<s>"}, {3, "b"}};
  report.tokens.first_mismatch = mismatch;

  const std::vector<float> e = {1, 5, 2, 4}, b = {1, 5.1F, 2, 4}, far = {9, 1, 1, 1};
  const std::vector<float> r = {1, 5, 2.05F, 4};
  Comparison comparison;
  comparison.add({0, Phase::prompt, {1, "<s>"}, e, b, r});
  comparison.add({1, Phase::prompt, {2, " a"}, e, far, r});
  comparison.add({2, Phase::decode, {3, "b\n"}, e, b, r});
  set_judgement(report, judge(comparison, report.tolerance, {4, 1}));
  report.timing.total_ms = 12.5;
  report.timing.engine = report.timing.backend = EngineTiming{1, 2, 3, 4, 5, 6};
  report.timing.noise_ms = 3;
  report.timing.compare_ms = 0.25;
  report.error = ErrorReport{"code", "what", "where", "fix"};
  return report;
}

inline RunReport sample_run() {
  RunReport run;
  const Report report = sample_report();
  run.status = Status::agree;
  run.model = report.model;
  run.prompt = report.prompt;
  run.engine = report.engine;
  run.tokens = {1, 2};
  RunPosition& position = run.positions.emplace_back();
  position.token = {1, "<s>"};
  position.top.push_back({{5, " x"}, 1.5});
  run.total_ms = 9;
  run.timing = EngineTiming{1, 2, 3, 4, 5, 6};
  run.prompt_tokens_per_second = 100;
  run.decode_tokens_per_second = 10;
  run.peak_rss_bytes = 1 << 20;
  run.error = std::nullopt;
  return run;
}

inline ConversionReport sample_conversion() {
  ConversionReport report;
  report.status = Status::diverged;
  report.model.path = "/models/tiny.gguf";
  report.checkpoint = {"/models/tiny", "llama", {"model.safetensors"}, 30, 1000};
  report.keys = {14, 1};
  report.tensors = {30, 1};
  report.faults.push_back({.kind = "key",
                           .where = "llama.rope.freq_base",
                           .source = "rope_theta",
                           .cause = "key wrong",
                           .expected = "1e+06",
                           .actual = "10000"});
  report.faults.push_back({.kind = "tensor",
                           .where = "blk.0.attn_q.weight",
                           .source = "model.layers.0.<b>",
                           .cause = "",
                           .expected = "0.5",
                           .actual = "0.25",
                           .explanation = "one of 64 weights",
                           .n_wrong = 1,
                           .n_elements = 64,
                           .row = 3,
                           .column = 1});
  report.not_compared = {"blk.0.x: what it is for is not known"};
  report.notes = {"left out: lm_head.weight"};
  report.n_weights = 64;
  report.bytes_read = 384;
  report.weights_ms = report.total_ms = 2;
  return report;
}

inline TraceReport sample_trace() {
  TraceReport trace;
  trace.base = sample_report();
  trace.base.error = std::nullopt;
  trace.base.tokens.first_mismatch = std::nullopt;
  for (int layer = -1; layer < 4; ++layer) {
    TapReport tap;
    tap.tensor = "Kcur-" + std::to_string(layer);
    tap.op = "MUL_MAT";
    tap.layer = layer;
    tap.own_error = layer == 2 ? 1e-2 : 0;
    tap.floor = 1e-6;
    tap.ratio = *tap.own_error / 1e-6;
    tap.verdict = layer == 2 ? TapVerdict::diverged : TapVerdict::ok;
    trace.taps.push_back(tap);
  }
  trace.n_taps = trace.n_replayed = 5;
  trace.n_diverged = 1;
  trace.first_divergence = TraceDivergence{
      .tap = trace.taps[3], .position = 7, .column = 1, .explanation = "because <b>"};
  trace.not_replayed = {"SSM_SCAN: not yet"};
  return trace;
}

}  // namespace crossval
