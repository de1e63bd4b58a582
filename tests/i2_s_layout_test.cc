// One model in every layout that I2_S may have: read alike once the layout is known, decided by
// sizes alone where they differ, reported as assumed where nothing tells them apart.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>

#include "base/half.h"
#include "support/crossval_run.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

using nlohmann::json;
using Codes = std::vector<uint8_t>;  // [n_rows][row_len]

Codes x86_codes(const TensorView& tensor) {
  Codes codes(static_cast<size_t>(tensor.n_elements()));
  for (size_t i = 0; i < codes.size(); ++i) {
    const auto packed = static_cast<unsigned>(tensor.data[i / 128 * 32 + i % 32]);
    codes[i] = static_cast<uint8_t>(packed >> (6 - 2 * (i % 128 / 32)) & 3);
  }
  return codes;
}

std::vector<std::byte> as_arm(const Codes& codes, int64_t) {
  std::vector<std::byte> out(codes.size() / 4);
  for (size_t i = 0; i < codes.size(); ++i) {
    out[i / 64 * 16 + i % 16] |= static_cast<std::byte>(codes[i] << (6 - 2 * (i % 64 / 16)));
  }
  return out;
}

std::vector<std::byte> as_rows4(const Codes& codes, int64_t row_len) {
  const auto n = static_cast<size_t>(row_len);
  std::vector<std::byte> out(codes.size() / 4);
  for (size_t i = 0; i < codes.size(); ++i) {
    out[i / n / 4 * n + i % n] |= static_cast<std::byte>(codes[i] << (6 - 2 * (i / n % 4)));
  }
  return out;
}

json first_logits(const std::string& model, const std::string& layout,
                  const std::string& numerics) {
  const CrossvalResult result = run_crossval(
      CROSSVAL_BIN, {"run", "--engine", "native", "--model", model, "--tokens", "1,17,40,3",
                     "--max-tokens", "1", "--numerics", numerics, "--i2s-layout", layout});
  EXPECT_EQ(result.run.exit_code, 0) << result.run.err;
  return result.json();
}

json inspected(const std::string& model) {
  return json::parse(run_program({CROSSVAL_BIN, "inspect", model, "--format", "json"}).out);
}

TEST(I2sLayouts, OfOneSizeAreReadAsTheFlagSaysAndReportedAsAssumed) {
  TempDir dir;
  const std::string original = root + "/tests/data/bitnet-i2s/model.gguf";
  const json want = first_logits(original, "auto", "ggml");
  EXPECT_EQ(want["engine"]["settings"]["i2s_layout"], "x86 (assumed)");
  const std::pair<const char*, std::vector<std::byte> (*)(const Codes&, int64_t)> layouts[] = {
      {"arm", as_arm}, {"rows4", as_rows4}};
  for (const auto& [name, pack] : layouts) {
    ModelEdit edit(original);
    for (const TensorView& tensor : edit.original().tensors()) {
      if (tensor.type != GgmlType::I2_S) continue;
      std::vector<std::byte> bytes = pack(x86_codes(tensor), tensor.shape[0]);
      bytes.insert(bytes.end(), tensor.data.end() - 32, tensor.data.end());
      edit.replace(tensor.name, tensor.type, tensor.shape, bytes);
    }
    const std::string model = dir.file(std::string(name) + ".gguf");
    edit.write(model);
    const json got = first_logits(model, name, "ggml");
    EXPECT_EQ(got["positions"], want["positions"]) << name;
    EXPECT_EQ(got["engine"]["settings"]["i2s_layout"], std::string(name) + " (flag)");
    EXPECT_NE(first_logits(model, "auto", "ggml")["positions"], want["positions"]) << name;
    const json layout = inspected(model)["i2_s"]["layout"];
    EXPECT_EQ(layout["name"], "x86");
    EXPECT_EQ(layout["how"], "assumed");
    EXPECT_EQ(layout["others_possible"], json({"arm", "rows4"}));
    EXPECT_EQ(layout["likely"], nullptr) << "random weights tell nothing";
    EXPECT_EQ(layout["evidence"].size(), 3u);
  }
}

// In the file the tensor is I8 of `row_bytes` a row; it becomes I2_S of `row_len` weights.
void make_i2_s(const std::string& path, const std::string& name, uint64_t row_len) {
  std::ifstream in(path, std::ios::binary);
  std::string bytes((std::istreambuf_iterator<char>(in)), {});
  const size_t at = bytes.find(name) + name.size() + sizeof(uint32_t);
  std::memcpy(&bytes[at], &row_len, sizeof row_len);
  const auto type = static_cast<uint32_t>(GgmlType::I2_S);
  std::memcpy(&bytes[at + 2 * sizeof(uint64_t)], &type, sizeof type);
  std::ofstream(path, std::ios::binary) << bytes;
}

// A weight of +-1 or +-2 as BitNet-rs's code.
unsigned bitnet_rs_code(float weight) {
  return weight < -1.5f ? 0 : weight < 0 ? 1 : weight < 1.5f ? 2 : 3;
}

TEST(I2sLayouts, OfOtherSizesAreTakenForWhatTheyAre) {
  TempDir dir;
  TinyModelOptions options;
  options.n_embd = 256;
  options.n_ff = 256;
  write_tiny_model(dir.file("in.gguf"), options);
  const struct {
    const char *name, *read_as;
    bool has_scales, beside;
  } cases[] = {{"qk256", "qk256", false, false},
               {"bitnet32", "bitnet32", true, false},
               {"bitnet32-split", "bitnet32-split", true, true}};
  for (const auto& c : cases) {
    ModelEdit stored(dir.file("in.gguf")), plain(dir.file("in.gguf"));
    std::vector<std::string> names;
    for (const TensorView& tensor : stored.original().tensors()) {
      const std::string& name = tensor.name;
      if (!name.starts_with("blk.") || tensor.shape.size() != 2) continue;
      names.push_back(name);
      std::vector<float> values = plain.values(name);
      std::vector<std::byte> bytes, scales;
      for (size_t i = 0; i < values.size(); i += 32) {
        const uint16_t half =
            f32_to_f16(c.has_scales ? 0.02f + 1e-5f * static_cast<float>(i % 999) : 1.0f);
        for (size_t k = i; k < i + 32; k += 4) {
          unsigned packed = 0;
          for (size_t j = 0; j < 4; ++j) {
            float& value = values[k + j];
            const float code = std::copysign(std::abs(value) > 0.08f ? 2.0f : 1.0f, value);
            packed |= bitnet_rs_code(code) << (2 * j);
            value = code * f16_to_f32(half);
          }
          bytes.push_back(static_cast<std::byte>(packed));
        }
        auto& to = c.beside ? scales : bytes;
        if (!c.has_scales) continue;
        to.push_back(static_cast<std::byte>(half & 255));
        to.push_back(static_cast<std::byte>(half >> 8));
      }
      plain.replace_f32(name, tensor.shape, values);
      const auto row_bytes = static_cast<int64_t>(bytes.size()) / tensor.shape[1];
      stored.replace(name, GgmlType::I8, {row_bytes, tensor.shape[1]}, bytes);
      if (c.beside) {
        stored.add(name + ".scale", GgmlType::F16, {static_cast<int64_t>(scales.size() / 2)},
                   scales);
      }
    }
    const std::string model = dir.file("stored.gguf");
    stored.write(model);
    plain.write(dir.file("plain.gguf"));
    for (const std::string& name : names) make_i2_s(model, name, 256);
    const json want = first_logits(dir.file("plain.gguf"), "auto", "exact");
    const json got = first_logits(model, "auto", "exact");
    EXPECT_EQ(got["positions"], want["positions"]) << c.name;
    EXPECT_EQ(first_logits(model, c.name, "exact")["positions"], want["positions"]) << c.name;
    const json report = inspected(model)["i2_s"];
    EXPECT_EQ(report["layout"]["name"], c.read_as);
    EXPECT_EQ(report["layout"]["how"], "size");
    EXPECT_TRUE(report["damaged"].empty());
    EXPECT_GT(report["codes"]["+2"], 0);
    const RunResult wrong = run_program({CROSSVAL_BIN, "inspect", model, "--i2s-layout", "x86"});
    EXPECT_EQ(wrong.exit_code, c.has_scales && !c.beside ? 0 : 3) << wrong.err;
  }
}

TEST(I2sLayouts, UnknownNamesAreBadInput) {
  const RunResult result = run_program({CROSSVAL_BIN, "inspect", "x.gguf", "--i2s-layout", "vax"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_NE(result.err.find("i2s-layout"), std::string::npos) << result.err;
}

// Llama-type models with ternary weights (Falcon-E, Llama3-8B-1.58): no sub-norms.
TEST(TernaryLlama, IsTheSameModelInEveryTernaryType) {
  TempDir dir;
  std::vector<json> positions;
  for (const GgmlType type : {GgmlType::TQ1_0, GgmlType::TQ2_0, GgmlType::I2_S, GgmlType::IQ2_BN}) {
    TinyModelOptions options;
    options.n_embd = 256;
    options.n_ff = 512;
    options.matrix_type = type;
    const std::string model = dir.file(std::string(type_name(type)) + ".gguf");
    write_tiny_model(model, options);
    const json result = first_logits(model, "auto", "exact");
    EXPECT_EQ(result["model"]["quantization"], type_name(type));
    positions.push_back(result["positions"]);
    ASSERT_EQ(positions.back().size(), positions[0].size());
    for (size_t i = 0; i < positions[0].size(); ++i) {
      const json &got = positions.back()[i]["top"][0], &want = positions[0][i]["top"][0];
      EXPECT_EQ(got["id"], want["id"]) << type_name(type);
      EXPECT_NEAR(got["logit"].get<double>(), want["logit"].get<double>(), 1e-4);
    }
  }
}

TEST(TernaryLlama, AgreesWithTheRealLlamaCpp) {
  SKIP_WITHOUT(llama_new);
  TempDir dir;
  for (const GgmlType type : {GgmlType::TQ1_0, GgmlType::TQ2_0}) {
    TinyModelOptions options;
    options.n_embd = 256;
    options.n_ff = 512;
    options.matrix_type = type;
    const std::string model = dir.file("m.gguf");
    write_tiny_model(model, options);
    const CrossvalResult result =
        run_crossval(CROSSVAL_BIN,
                     {"per-token", "--model", model, "--prompt", "The quick brown fox",
                      "--prompt-template", "raw", "--backend", "llama"},
                     {.env = {{"LLAMA_CPP_DIR", llama_new}}});
    EXPECT_EQ(result.run.exit_code, 0) << type_name(type) << result.run.err << result.run.out;
    EXPECT_EQ(result.json()["summary"]["top1_agreement"], 1.0) << type_name(type);
  }
}

}  // namespace
}  // namespace crossval::testing
