#include "render/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "render/sample_report.h"

namespace crossval {
namespace {

using Json = nlohmann::json;

// What crossval/per-token/1 promises, with a value of the right kind at every key.
const char* const kContract =
    R"({"schema": "crossval/per-token/1", "status": "agree", "exit_code": 0,
 "model": {"path": "", "sha256": "", "architecture": "llama", "quantization": "Q4_1", "n_vocab": 49152, "n_layers": 30, "n_params": 134515008},
 "prompt": {"text": "", "template": "chatml", "formatted": ""},
 "engine":  {"name": "native", "version": "", "numerics": "ggml", "n_threads": 2, "settings": {}},
 "backend": {"name": "llama.cpp", "selected_by": "flag", "version": "", "library": "", "model": "", "n_threads": 2, "settings": {}},
 "tokens": {"engine": [1], "backend": [1], "match": true,
   "first_mismatch": {"index": 3, "engine": {"id": 1, "text": ""}, "backend": {"id": 2, "text": ""}, "hint": ""}},
 "positions": [{"index": 0, "phase": "prompt", "token": {"id": 1, "text": ""},
   "cosine": 0.99999, "l2": 0.1, "rel_l2": 1e-4, "mse": 1e-6, "max_abs": 0.01, "max_abs_token": 17, "kl": 1e-7,
   "top1": {"engine": 5, "backend": 5, "match": true, "tie": false}, "topk_overlap": 1.0,
   "non_finite": {"engine": 0, "backend": 0}, "noise_ratio": 0.8, "verdict": "ok"}],
 "summary": {"n_positions": 11, "first_divergence": 4, "above_noise": 0, "min_cosine": 0.9999, "max_abs": 0.01, "mean_kl": 1e-7, "max_kl": 1e-6, "top1_agreement": 1.0},
 "tolerance": {"gate": "auto", "cos_tol": 0.999},
 "timing_ms": {"total": 0, "engine": {"load": 0, "tokenize": 0, "eval": 0}, "backend": {"start": 0, "load": 0, "tokenize": 0, "eval": 0}, "compare": 0},
 "error": {"code": "", "what": "", "where": "", "fix": ""}})";

bool same_kind(const Json& want, const Json& got) {
  return want.type() == got.type() || (want.is_number() && got.is_number());
}

// Every key of `want` is in `got`, null or of the same kind; `full` allows no null.
void expect_keys(const Json& want, const Json& got, bool full, const std::string& path) {
  if (got.is_null() && !full) return;
  EXPECT_TRUE(same_kind(want, got)) << path << ": " << got.dump();
  if (want.is_object()) {
    for (const auto& [key, value] : want.items()) {
      ASSERT_TRUE(got.contains(key)) << path << "." << key;
      expect_keys(value, got[key], full, std::string(path).append(".").append(key));
    }
  } else if (want.is_array() && !want.empty()) {
    if (full) {
      ASSERT_FALSE(got.empty()) << path;
    }
    for (const Json& element : got) expect_keys(want[0], element, full, path + "[]");
  }
}

Json parse(const std::string& text) {
  const Json json = Json::parse(text, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << text;
  return json;
}

TEST(PerTokenJson, EveryKeyOfTheContract) {
  const Json got = parse(json_of(sample_report(), {}));
  expect_keys(Json::parse(kContract), got, true, "");
  EXPECT_EQ(got["positions"].size(), 3U);
  EXPECT_EQ(got["engine"]["settings"]["kv_type"], "f16");
}

TEST(PerTokenJson, EveryKeyEvenWhenNothingIsKnown) {
  const Json got = parse(json_of(Report{}, {}));
  expect_keys(Json::parse(kContract), got, false, "");
  EXPECT_EQ(got["status"], "bad_input");
  EXPECT_EQ(got["exit_code"], 3);
  for (const char* key : {"model", "prompt", "engine", "backend", "tokens"}) {
    ASSERT_TRUE(got[key].is_object()) << key;
    for (const auto& [name, value] : got[key].items()) EXPECT_TRUE(value.is_null()) << name;
  }
  EXPECT_EQ(got["summary"]["n_positions"], 0);
  EXPECT_TRUE(got["summary"]["min_cosine"].is_null());
  EXPECT_TRUE(got["error"].is_null());
  EXPECT_TRUE(got["timing_ms"]["backend"]["eval"].is_null());
}

TEST(PerTokenJson, ErrorsOnTheirExitCodes) {
  Report report = sample_report();
  set_error(report, Error(Status::backend_failed, "worker_crashed", "killed by SIGSEGV",
                          "stage eval", "try --threads 1"));
  const Json got = parse(json_of(report, {}));
  EXPECT_EQ(got["status"], "backend_failed");
  EXPECT_EQ(got["exit_code"], 4);
  EXPECT_EQ(got["error"]["code"], "worker_crashed");
  EXPECT_EQ(got["error"]["fix"], "try --threads 1");
  EXPECT_EQ(got["tokens"]["engine"].size(), 3U);  // what was known stays
}

TEST(PerTokenJson, NumbersAreExactAndNeverNaN) {
  Report report = sample_report();
  auto& m = report.positions[0].compared.metrics;
  m.kl = 0.1 + 0.2;
  m.l2 = std::numeric_limits<double>::quiet_NaN();
  m.mse = std::numeric_limits<double>::infinity();
  m.max_abs = 4.9e-324;
  const Json got = parse(json_of(report, {}))["positions"][0];
  EXPECT_EQ(got["kl"].get<double>(), 0.1 + 0.2);
  EXPECT_EQ(got["max_abs"].get<double>(), 4.9e-324);
  EXPECT_TRUE(got["l2"].is_null());
  EXPECT_TRUE(got["mse"].is_null());
}

TEST(PerTokenJson, AnyBytesBecomeValidUtf8) {
  Report report = sample_report();
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  report.positions[0].compared.token.text = all;
  report.positions[1].compared.token.text = "\xF0\x9F\x98";  // three bytes of an emoji
  report.prompt.text = "\xFF";
  report.model.path = "/tmp/\xC0\xAF";
  report.engine->info.settings["\xFE"] = "\xFE";
  report.tokens.first_mismatch->hint = all;
  const Json got = parse(json_of(report, {}));
  EXPECT_EQ(got["prompt"]["text"], "\xEF\xBF\xBD");
  EXPECT_EQ(got["positions"][0]["token"]["text"].get<std::string>().substr(0, 128),
            all.substr(0, 128));
}

TEST(PerTokenJson, MetricsNotAskedForAreNull) {
  Report report = sample_report();
  report.metrics = parse_metrics("cosine");
  const Json got = parse(json_of(report, {}));
  expect_keys(Json::parse(kContract), got, false, "");
  EXPECT_TRUE(got["positions"][0]["kl"].is_null());
  EXPECT_TRUE(got["positions"][0]["non_finite"]["engine"].is_null());
  EXPECT_FALSE(got["positions"][0]["cosine"].is_null());
}

TEST(PerTokenJson, OneLineIsOneLine) {
  const std::string line = json_of(sample_report(), {.color = false, .one_line = true});
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_EQ(parse(line), parse(json_of(sample_report(), {})));
}

TEST(RunJson, EveryKeyOfTheContract) {
  const char* const contract = R"({"schema": "crossval/run/1", "status": "ok", "exit_code": 0,
   "model": {}, "prompt": {}, "engine": {}, "tokens": [1],
   "positions": [{"index": 0, "phase": "prompt", "token": {"id": 1, "text": ""}, "top": [{"id": 5, "text": "", "logit": 1.5}]}],
   "timing_ms": {"total": 0, "load": 0, "tokenize": 0, "prompt_eval": 0, "decode": 0},
   "tokens_per_second": {"prompt": 0.0, "decode": 0.0}, "peak_rss_bytes": 0, "error": null})";
  const Json got = parse(json_of(sample_run(), {}));
  expect_keys(Json::parse(contract), got, true, "");
  EXPECT_EQ(got["status"], "ok");
  const Json empty = parse(json_of(RunReport{}, {}));
  expect_keys(Json::parse(contract), empty, false, "");
  EXPECT_EQ(empty["status"], "bad_input");
  RunReport odd = sample_run();
  odd.positions[0].top[0].logit = std::numeric_limits<double>::infinity();
  EXPECT_TRUE(parse(json_of(odd, {}))["positions"][0]["top"][0]["logit"].is_null());
}

TEST(ParityJson, PairsAndVote) {
  ParityReport parity{{sample_report(), sample_report()}, std::nullopt};
  Json got = parse(json_of(parity, {}));
  EXPECT_EQ(got["schema"], "crossval/parity/1");
  EXPECT_TRUE(got["vote"].is_null());
  EXPECT_EQ(got["pairs"].size(), 2U);
  parity.vote = Vote{"bitnet.cpp", {"native", "llama.cpp"}, "two agree"};
  got = parse(json_of(parity, {}));
  EXPECT_EQ(got["vote"]["outlier"], "bitnet.cpp");
  EXPECT_EQ(got["vote"]["agreeing"].size(), 2U);
}

}  // namespace
}  // namespace crossval
