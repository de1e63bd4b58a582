// The tools that plant faults do what they say: a test that trusts them is worth no more.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <numeric>

#include "quant/formats.h"
#include "quant/matmul.h"
#include "support/model_edit.h"
#include "support/quantize.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval::testing {
namespace {

std::vector<float> wave(size_t n) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) {
    values[i] = std::sin(0.37f * static_cast<float>(i)) * (1.0f + static_cast<float>(i % 7));
  }
  return values;
}

// Largest error against the largest value, after a trip through the type.
float round_trip_error(GgmlType type) {
  const std::vector<float> values = wave(512);
  const std::vector<std::byte> bytes = quantize(type, values);
  std::vector<float> back(values.size());
  find_format(type)->dequantize(bytes.data(), 512, back.data());
  float worst = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    worst = std::max(worst, std::abs(values[i] - back[i]));
  }
  return worst / 7.0f;
}

TEST(Quantize, each_type_is_as_exact_as_its_bits_allow) {
  const std::pair<GgmlType, float> bounds[] = {{GgmlType::F32, 0.0f},   {GgmlType::F16, 1e-3f},
                                               {GgmlType::BF16, 5e-3f}, {GgmlType::Q8_0, 5e-3f},
                                               {GgmlType::Q6_K, 3e-2f}, {GgmlType::Q5_1, 4e-2f},
                                               {GgmlType::Q5_0, 7e-2f}, {GgmlType::Q4_K, 12e-2f},
                                               {GgmlType::Q4_1, 8e-2f}, {GgmlType::Q4_0, 14e-2f}};
  for (const auto& [type, bound] : bounds) {
    EXPECT_LE(round_trip_error(type), bound) << type_name(type);
    EXPECT_TRUE(can_quantize(type));
  }
  EXPECT_GT(round_trip_error(GgmlType::Q4_0), round_trip_error(GgmlType::Q8_0));
}

// Their readers are checked against the real engines elsewhere.
TEST(Quantize, ternary_types_hold_the_same_weights) {
  const std::vector<float> values = wave(1024);
  std::vector<float> first;
  for (const GgmlType type : {GgmlType::TQ1_0, GgmlType::TQ2_0, GgmlType::I2_S, GgmlType::IQ2_BN}) {
    const std::vector<std::byte> bytes = quantize(type, values, 512);
    TensorView tensor;
    tensor.type = type;
    tensor.shape = {512, 2};
    tensor.data = bytes;
    const WeightView view = weight_view(tensor);
    std::vector<float> back(values.size());
    for (const int64_t row : {0, 1}) get_row(view, row, back.data() + 512 * row);
    if (first.empty()) first = back;
    EXPECT_EQ(back, first) << type_name(type);
  }
  for (size_t i = 0; i < values.size(); ++i) EXPECT_GE(values[i] * first[i], 0) << i;
  EXPECT_NE(first[4], 0);
}

struct Tiny {
  TempDir folder;
  std::string in = folder.file("in.gguf"), out = folder.file("out.gguf");
  explicit Tiny(TinyModelOptions options = {}) { write_tiny_model(in, options); }
};

const char* const up = "blk.0.ffn_up.weight";
const char* const gate = "blk.0.ffn_gate.weight";

TEST(ModelEdit, an_unchanged_copy_is_the_same_file) {
  const Tiny tiny;
  ModelEdit(tiny.in).write(tiny.out);
  EXPECT_EQ(read_text(tiny.in), read_text(tiny.out));
}

TEST(ModelEdit, negation_keeps_the_type_and_flips_every_weight) {
  for (const GgmlType type : {GgmlType::F32, GgmlType::F16, GgmlType::BF16, GgmlType::Q4_0,
                              GgmlType::Q4_1, GgmlType::Q5_0, GgmlType::Q5_1, GgmlType::Q8_0,
                              GgmlType::Q4_K, GgmlType::Q6_K, GgmlType::TQ2_0}) {
    const Tiny tiny({.n_layers = 1, .n_embd = 256, .n_ff = 256, .matrix_type = type});
    const std::vector<float> before = ModelEdit(tiny.in).values(up);
    ModelEdit edit(tiny.in);
    edit.negate(up);
    edit.write(tiny.out);
    const ModelEdit after(tiny.out);
    EXPECT_EQ(after.original().find_tensor(up)->type, type);
    std::vector<float> flipped = after.values(up);
    for (float& value : flipped) value = -value;
    EXPECT_EQ(flipped, before) << type_name(type);
    EXPECT_EQ(after.values(gate), ModelEdit(tiny.in).values(gate));
  }
}

TEST(ModelEdit, one_nan_reaches_one_block) {
  const Tiny tiny({.n_layers = 1, .matrix_type = GgmlType::Q4_1});
  ModelEdit edit(tiny.in);
  edit.set_nan(up, 70);
  EXPECT_THROW(edit.set_nan(up, 64 * 96), std::runtime_error);
  edit.write(tiny.out);
  const std::vector<float> values = ModelEdit(tiny.out).values(up);
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::isnan(values[i]), i >= 64 && i < 96) << i;
  }
}

TEST(ModelEdit, the_other_edits) {
  const Tiny tiny({.n_layers = 1});
  const ModelEdit original(tiny.in);
  ModelEdit edit(tiny.in);
  edit.swap(up, gate);
  edit.scale("output_norm.weight", 2.0f);
  edit.convert("output.weight", GgmlType::Q8_0);
  edit.remove("blk.0.attn_q.weight");
  edit.rename("blk.0.attn_k.weight", "k");
  edit.move_to_front("output.weight");
  edit.metadata().set_f32("llama.rope.scaling.factor", 2.0f);
  edit.metadata().remove("general.name");
  edit.write(tiny.out, 2);
  const ModelEdit after(tiny.out);
  EXPECT_EQ(after.original().version(), 2);
  EXPECT_EQ(after.values(up), original.values(gate));
  EXPECT_EQ(after.values(gate), original.values(up));
  EXPECT_EQ(after.values("output_norm.weight")[5], 2 * original.values("output_norm.weight")[5]);
  EXPECT_EQ(after.original().tensors()[0].name, "output.weight");
  EXPECT_EQ(after.original().tensors()[0].type, GgmlType::Q8_0);
  EXPECT_EQ(after.original().find_tensor("blk.0.attn_q.weight"), nullptr);
  EXPECT_NE(after.original().find_tensor("k"), nullptr);
  EXPECT_EQ(after.original().get_float("llama.rope.scaling.factor"), 2.0);
  EXPECT_EQ(after.original().find("general.name"), nullptr);
  EXPECT_THROW(edit.negate("nothing"), std::runtime_error);
}

TEST(TinyModel, same_seed_same_bytes) {
  const Tiny a, b, c({.seed = 2});
  EXPECT_EQ(read_text(a.in), read_text(b.in));
  EXPECT_NE(read_text(a.in), read_text(c.in));
  EXPECT_EQ(parse_tiny_model("seed=4,tied=1,type=q8_0").matrix_type, GgmlType::Q8_0);
  EXPECT_THROW(parse_tiny_model("sed=4"), std::runtime_error);
}

TEST(TinyModel, vocabulary_has_no_id_twice) {
  for (const TinyVocabulary vocabulary : {TinyVocabulary::gpt2, TinyVocabulary::llama}) {
    const Tiny tiny({.vocabulary = vocabulary});
    const auto model = ModelFile::open(tiny.in);
    auto tokens = std::get<MetaValue::StringArray>(model->find("tokenizer.ggml.tokens")->value);
    EXPECT_EQ(static_cast<int64_t>(tokens.size()), model->find_tensor("output.weight")->n_rows());
    std::ranges::sort(tokens);
    EXPECT_TRUE(std::ranges::adjacent_find(tokens) == tokens.end());
  }
}

TEST(Subprocess, output_exit_code_and_environment) {
  RunOptions options;
  options.env = {{"CROSSVAL_X", "there"}};
  options.input = std::string(300'000, 'x');
  const RunResult result =
      run_program({"sh", "-c", "wc -c; echo $CROSSVAL_X; echo no >&2; exit 7"}, options);
  EXPECT_EQ(result.out, "300000\nthere\n");
  EXPECT_EQ(result.err, "no\n");
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_GT(result.peak_rss_bytes, 100'000);
  EXPECT_THROW(run_program({"/no/such/program"}), std::runtime_error);
}

TEST(Subprocess, signals_and_time_outs) {
  EXPECT_EQ(run_program({"sh", "-c", "kill -SEGV $$"}).signal, SIGSEGV);
  RunOptions options;
  options.timeout_ms = 100;
  const RunResult result = run_program({"sh", "-c", "sleep 100"}, options);
  EXPECT_TRUE(result.timed_out);
  EXPECT_LT(result.wall_ms, 5000);
}

}  // namespace
}  // namespace crossval::testing
