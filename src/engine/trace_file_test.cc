#include "engine/trace_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "engine/trace_engine.h"
#include "support/safetensors.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using testing::read_text;
using testing::safetensors;
using testing::StoredTensor;
using testing::TempDir;
using testing::write_text;

EngineInfo some_engine() {
  EngineInfo info;
  info.name = "native";
  info.version = "0.1.0";
  info.n_threads = 2;
  info.settings = {{"kv_type", "f32"}};
  return info;
}

// Three ids over four tokens; logits are 10 * position + token.
void write_sample(const std::string& path, int max_captures = 0) {
  TraceWriter out(path, trace_metadata(some_engine(), "ab12", "hi \xff", 2), 4, max_captures);
  for (int p = 0; p < 3; ++p) {
    std::vector<float> row;
    row.reserve(4);
    for (int t = 0; t < 4; ++t) row.push_back(static_cast<float>(10 * p + t));
    if (p == 1) row[2] = NAN;
    out.write_row(100 + p, row);
  }
  for (int i = 0; i < max_captures; ++i) {
    out.write_capture("Qcur-0#" + std::to_string(i), {3, 2}, std::vector<float>(6, 1.5f));
  }
  out.finish();
}

TEST(TraceFile, what_was_written_comes_back) {
  const TempDir folder;
  for (const int n_captures : {0, 3, 1000}) {
    write_sample(folder.file("t"), n_captures);
    const auto trace = TraceFile::open(folder.file("t"));
    EXPECT_EQ(trace->tokens(), (std::vector<TokenId>{100, 101, 102}));
    EXPECT_EQ(trace->n_vocab(), 4);
    EXPECT_EQ(trace->metadata(trace_key::kModelSha256), "ab12");
    EXPECT_EQ(trace->tensors().size(), static_cast<size_t>(2 + n_captures));
    std::vector<float> row(4);
    trace->read_logits(1, row);
    EXPECT_EQ(row[3], 13);
    EXPECT_TRUE(std::isnan(row[2]));
    if (n_captures > 0) {
      EXPECT_EQ(trace->tensors().at("Qcur-0#2").shape, (std::vector<int64_t>{3, 2}));
    }
  }
}

TEST(TraceFile, nothing_is_left_without_finish) {
  const TempDir folder;
  {
    TraceWriter out(folder.file("t"), {}, 2);
    out.write_row(1, std::vector<float>{1, 2});
  }
  EXPECT_EQ(folder.n_entries(), 0);
  EXPECT_THROW(
      {
        TraceWriter out("/dev/full", {}, 2);
        out.write_row(1, std::vector<float>{1, 2});
        out.finish();
      },
      Error);
}

// The sample with its JSON header changed.
std::string with_header(const std::string& file, const std::function<void(nlohmann::json&)>& edit) {
  uint64_t length = 0;
  std::memcpy(&length, file.data(), sizeof(length));
  const std::string data = file.substr(sizeof(length) + length);
  auto header = nlohmann::json::parse(file.substr(sizeof(length), length));
  edit(header);
  const std::string text = header.dump();
  length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof(length)) + text + data;
}

TEST(TraceFile, damaged_files_are_refused) {
  const TempDir folder;
  const std::string path = folder.file("t");
  write_sample(path, 2);
  const std::string good = read_text(path);
  const auto refusal = [&](const std::string& content) -> std::string {
    write_text(path, content);
    try {
      TraceFile::open(path);
    } catch (const Error& error) {
      return error.code;
    }
    return "accepted";
  };
  using Json = nlohmann::json;
  const auto changed = [&](const std::function<void(Json&)>& edit) {
    return refusal(with_header(good, edit));
  };
  EXPECT_EQ(changed([](Json&) {}), "accepted");
  EXPECT_EQ(changed([](Json& h) { h["tokens"]["dtype"] = "I64"; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["tokens"]["dtype"] = "X9"; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["tokens"]["dtype"] = 4; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["logits"]["shape"] = {4, 3}; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) {
              h["logits"]["shape"] = {1ull << 40, 1ull << 40};
            }),
            "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["logits"]["shape"] = {-3, -4}; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["logits"]["data_offsets"] = {48, 0}; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["logits"]["data_offsets"] = {1, 49}; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["logits"]["data_offsets"] = {0, ~0ull}; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["logits"] = Json::array(); }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h.erase("Qcur-0#0"); }), "damaged_trace");   // a hole
  EXPECT_EQ(changed([](Json& h) { h["x"] = h["tokens"]; }), "damaged_trace");  // an overlap
  EXPECT_EQ(changed([](Json& h) { h["__metadata__"]["n"] = 1; }), "damaged_trace");
  EXPECT_EQ(changed([](Json& h) { h["__metadata__"]["schema"] = "x"; }), "not_a_trace");
  EXPECT_EQ(changed([](Json& h) { h.erase("tokens"); }), "damaged_trace");
  EXPECT_EQ(refusal(good + "x"), "damaged_trace");
  EXPECT_EQ(refusal("GGUF"), "not_a_trace");
  EXPECT_EQ(refusal(std::string(8, '\xff') + "{}"), "not_a_trace");
  uint64_t deep = 200000;
  EXPECT_EQ(refusal(std::string(reinterpret_cast<char*>(&deep), 8) + std::string(deep, '[')),
            "not_a_trace");
  for (size_t n = 1; n < good.size(); n += 7) EXPECT_NE(refusal(good.substr(0, n)), "accepted");
}

template <typename T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}
TEST(TraceFile, files_from_elsewhere_are_read) {
  const TempDir folder;
  const std::string path = folder.file("t");
  const StoredTensor ids64{"tokens", "I64", {1, 2}, bytes_of(std::vector<int64_t>{7, 9})};
  const StoredTensor ids32{"tokens", "I32", {2}, bytes_of(std::vector<int32_t>{7, 9})};
  // 1, 2, 3, 4 in each type.
  const std::string f16 = bytes_of(std::vector<uint16_t>{0x3c00, 0x4000, 0x4200, 0x4400});
  const std::string bf16 = bytes_of(std::vector<uint16_t>{0x3f80, 0x4000, 0x4040, 0x4080});
  const std::string f32 = bytes_of(std::vector<float>{1, 2, 3, 4});
  const std::vector<StoredTensor> all[] = {
      {ids64, {"logits", "F16", {1, 2, 2}, f16}},
      {ids32, {"logits", "BF16", {2, 2}, bf16}},
      {ids64, {"logits", "F32", {2, 2}, f32}},
  };
  for (const auto& tensors : all) {
    write_text(path, safetensors(tensors));
    const auto trace = TraceFile::open(path);
    EXPECT_EQ(trace->tokens(), (std::vector<TokenId>{7, 9}));
    EXPECT_EQ(trace->first_row(), 0);
    std::vector<float> row(2);
    trace->read_logits(1, row);
    EXPECT_EQ(row, (std::vector<float>{3, 4})) << tensors[1].dtype;
  }
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{4}, {1, 4}, {1, 1, 4}}) {
    write_text(path, safetensors({ids32, {"logits", "F32", shape, f32}}));
    const auto trace = TraceFile::open(path);
    EXPECT_EQ(trace->first_row(), 1);
    std::vector<float> row(4);
    trace->read_logits(1, row);
    EXPECT_EQ(row.back(), 4);
    EXPECT_THROW(trace->read_logits(0, row), Error);
  }
  const std::vector<StoredTensor> refused[] = {
      {{"tokens", "I64", {2}, bytes_of(std::vector<int64_t>{7, int64_t{1} << 40})},
       {"logits", "F32", {2, 2}, f32}},
      {{"tokens", "I64", {2}, bytes_of(std::vector<int64_t>{7, -1})},
       {"logits", "F32", {2, 2}, f32}},
      {{"tokens", "I32", {2}, bytes_of(std::vector<int32_t>{-7, 9})},
       {"logits", "F32", {2, 2}, f32}},
      {ids32, {"logits", "I32", {2, 2}, f32}},
      {ids32, {"logits", "F32", {2, 1, 2}, f32}},
      {ids32},
  };
  for (const auto& tensors : refused) {
    write_text(path, safetensors(tensors));
    EXPECT_THROW(TraceFile::open(path), Error);
  }
}

std::string eval_code(TraceEngine& engine, std::vector<TokenId> ids) {
  try {
    engine.eval(ids);
  } catch (const Error& error) {
    return error.code;
  }
  return "";
}

TEST(TraceEngine, plays_back_what_was_saved_and_nothing_else) {
  const TempDir folder;
  write_sample(folder.file("t"));
  TraceEngine engine(folder.file("t"));
  EXPECT_EQ(engine.info().name, "native");
  EXPECT_EQ(engine.info().n_threads, 2);
  EXPECT_EQ(engine.info().settings.at("kv_type"), "f32");
  EXPECT_EQ(engine.n_prompt(), 2);
  EXPECT_THROW(engine.tokenize("other", {}), Error);
  EXPECT_EQ(engine.tokenize("hi \xff", {}), (std::vector<TokenId>{100, 101}));

  engine.reset(3);
  EXPECT_EQ(eval_code(engine, {100, 101}), "");
  std::vector<float> rows(8);
  engine.read_logits(0, 2, rows);
  EXPECT_EQ(rows[1], 1);
  EXPECT_EQ(rows[7], 13);
  EXPECT_EQ(eval_code(engine, {102}), "");
  engine.read_logits(0, 1, std::span(rows).first(4));
  EXPECT_EQ(rows[0], 20);
  EXPECT_EQ(eval_code(engine, {103}), "trace_too_short");
  engine.reset(1);
  EXPECT_EQ(eval_code(engine, {7}), "other_tokens");
}

}  // namespace
}  // namespace crossval
