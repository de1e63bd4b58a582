#include "conversion/check_conversion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "arch/archs.h"
#include "gguf/writer.h"
#include "support/arch_model.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_checkpoint.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using nlohmann::json;
using testing::ModelEdit;
using testing::StoredTensor;
using testing::TempDir;
using testing::TinyCheckpointOptions;
using testing::TinyModelOptions;

// A small model, the checkpoint that it is made of, and a changed copy of the model.
class CheckConversion : public ::testing::Test {
 protected:
  void SetUp() override { make({}); }

  void make(const TinyCheckpointOptions& options, const TinyModelOptions& model = {}) {
    testing::write_tiny_model(model_, model);
    testing::write_tiny_checkpoint(model_, dir_.path(), options);
  }
  ConversionReport check(const std::string& model, int n_threads = 2) const {
    return check_conversion(
        {.model = model, .checkpoint = dir_.path(), .n_threads = n_threads, .tell = {}});
  }
  ConversionReport check_changed(const std::function<void(ModelEdit&)>& change) const {
    ModelEdit edit(model_);
    change(edit);
    edit.write(dir_.file("changed.gguf"));
    return check(dir_.file("changed.gguf"));
  }
  // Rows of f32 in another order.
  static std::vector<float> rows_of(const ModelEdit& edit, const std::string& name,
                                    const std::function<int64_t(int64_t)>& from) {
    const std::vector<float> old = edit.values(name);
    const auto n = static_cast<size_t>(edit.shape(name)[0]);
    std::vector<float> out(old.size());
    for (size_t row = 0; row < old.size() / n; ++row) {
      const auto source = static_cast<size_t>(from(static_cast<int64_t>(row)));
      std::memcpy(&out[row * n], &old[source * n], n * sizeof(float));
    }
    return out;
  }

  TempDir dir_;
  std::string model_ = dir_.file("model.gguf");
};

void expect_one(const ConversionReport& report, const std::string& where,
                const std::string& cause) {
  EXPECT_EQ(report.status, Status::diverged);
  ASSERT_EQ(report.faults.size(), 1u) << (report.faults.empty() ? "" : report.faults[0].where);
  EXPECT_EQ(report.faults[0].where, where);
  EXPECT_NE(report.faults[0].cause.find(cause), std::string::npos) << report.faults[0].cause;
}

TEST_F(CheckConversion, IsSilentOnTheModelItself) {
  const ConversionReport report = check(model_);
  EXPECT_FALSE(report.error) << report.error->what;
  EXPECT_EQ(report.status, Status::agree) << report.faults.size();
  for (const ConversionFault& fault : report.faults) ADD_FAILURE() << fault.where;
  EXPECT_EQ(report.tensors.compared, 21);
  EXPECT_GT(report.keys.compared, 8);
  EXPECT_GT(report.tokens.compared, 200);
  EXPECT_TRUE(report.not_compared.empty());
}

TEST_F(CheckConversion, IsSilentOnEveryTypeOfWeights) {
  for (const GgmlType type :
       {GgmlType::F16, GgmlType::BF16, GgmlType::Q4_0, GgmlType::Q4_1, GgmlType::Q5_0,
        GgmlType::Q5_1, GgmlType::Q8_0, GgmlType::Q4_K, GgmlType::Q6_K}) {
    make({}, {.n_embd = 256, .n_ff = 256});
    const ConversionReport report =
        check_changed([&](ModelEdit& edit) { edit.convert_matrices(type); });
    EXPECT_EQ(report.status, Status::agree) << type_name(type);
    for (const ConversionFault& fault : report.faults) {
      ADD_FAILURE() << type_name(type) << ": " << fault.where << " " << fault.explanation;
    }
  }
}

TEST_F(CheckConversion, ReadsCheckpointsInPartsAndOfSixteenBits) {
  ModelEdit edit(model_);
  edit.convert_matrices(GgmlType::BF16);
  edit.convert_matrices(GgmlType::F32);
  edit.write(dir_.file("cut.gguf"));
  // Norms stay F32: so the checkpoint has to have their bits too.
  testing::write_tiny_checkpoint(model_, dir_.path(), {.in_parts = true});
  std::filesystem::remove(dir_.file("model.safetensors"));
  EXPECT_EQ(check(model_).status, Status::agree);
  EXPECT_EQ(check(model_).checkpoint.files.size(), 2u);
}

TEST_F(CheckConversion, GivesTheSameForAnyNumberOfThreads) {
  const ConversionReport one = check(model_, 1), three = check(model_, 3);
  EXPECT_EQ(one.n_weights, three.n_weights);
  EXPECT_EQ(one.faults.size(), three.faults.size());
}

TEST_F(CheckConversion, NamesQueriesThatWereNotReordered) {
  const auto report = check_changed([](ModelEdit& edit) {
    const std::vector<int64_t> shape = edit.shape("blk.1.attn_q.weight");
    const auto rows = rows_of(edit, "blk.1.attn_q.weight", [](int64_t row) {
      const int64_t at = row % 16;
      return row - at + (at < 8 ? 2 * at : 2 * (at - 8) + 1);
    });
    edit.replace_f32("blk.1.attn_q.weight", shape, rows);
  });
  expect_one(report, "blk.1.attn_q.weight", "not reordered");
}

TEST_F(CheckConversion, NamesOneAddedToANorm) {
  const auto report = check_changed([](ModelEdit& edit) {
    std::vector<float> values = edit.values("blk.0.ffn_norm.weight");
    for (float& value : values) value += 1;
    edit.replace_f32("blk.0.ffn_norm.weight", {64}, values);
  });
  expect_one(report, "blk.0.ffn_norm.weight", "one was added");
}

TEST_F(CheckConversion, NamesATransposedMatrix) {
  const auto report = check_changed([](ModelEdit& edit) {
    const std::vector<float> old = edit.values("blk.0.attn_output.weight");
    std::vector<float> turned(old.size());
    for (size_t i = 0; i < old.size(); ++i) turned[i % 64 * 64 + i / 64] = old[i];
    edit.replace_f32("blk.0.attn_output.weight", {64, 64}, turned);
  });
  expect_one(report, "blk.0.attn_output.weight", "transposed");
}

TEST_F(CheckConversion, NamesTheOtherTensor) {
  expect_one(check_changed([](ModelEdit& edit) {
               edit.copy_content("blk.0.ffn_down.weight", "blk.1.ffn_down.weight");
             }),
             "blk.1.ffn_down.weight", "that of layer 0");
  const auto swapped = check_changed(
      [](ModelEdit& edit) { edit.swap("blk.0.ffn_up.weight", "blk.0.ffn_gate.weight"); });
  ASSERT_EQ(swapped.faults.size(), 2u);
  EXPECT_NE(swapped.faults[0].cause.find("instead"), std::string::npos);
}

TEST_F(CheckConversion, NamesAFactorAndZeros) {
  expect_one(check_changed([](ModelEdit& edit) { edit.scale("blk.0.attn_v.weight", 0.5f); }),
             "blk.0.attn_v.weight", "multiplied with 0.5");
  expect_one(check_changed([](ModelEdit& edit) { edit.scale("blk.0.attn_v.weight", 0); }),
             "blk.0.attn_v.weight", "zero");
}

TEST_F(CheckConversion, NamesALayerOfAnotherCheckpoint) {
  const std::string other = dir_.file("other.gguf");
  testing::write_tiny_model(other, {.seed = 2});
  const auto report = check_changed([&](ModelEdit& edit) {
    const ModelEdit another(other);
    for (const char* rest : {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up",
                             "ffn_down", "attn_norm", "ffn_norm"}) {
      const std::string name = std::string("blk.1.") + rest + ".weight";
      edit.replace_f32(name, edit.shape(name), another.values(name));
    }
  });
  int n_named = 0;
  for (const ConversionFault& fault : report.faults) {
    n_named += fault.cause == "layer 1 is of another checkpoint" ? 1 : 0;
  }
  EXPECT_EQ(n_named, 7);
}

TEST_F(CheckConversion, FindsOneWrongCode) {
  for (const GgmlType type : {GgmlType::Q4_0, GgmlType::Q8_0, GgmlType::Q4_K}) {
    make({}, {.n_embd = 256, .n_ff = 256});
    const auto report = check_changed([&](ModelEdit& edit) {
      edit.convert_matrices(type);
      edit.edit_bytes("blk.0.ffn_up.weight", [&](std::vector<std::byte>& bytes) {
        const auto block = static_cast<size_t>(find_type(type)->block_bytes);
        bytes[3 * block + block - 1] ^= std::byte{0x04};
      });
    });
    expect_one(report, "blk.0.ffn_up.weight", "block 3 is wrong");
    EXPECT_EQ(report.faults.at(0).n_wrong, 1) << type_name(type);
  }
}

// The next code is wrong by half a step at least: all but those that lie between two codes.
TEST_F(CheckConversion, FindsCodesOneStepAway) {
  make({}, {.n_embd = 256, .n_ff = 256});
  for (const GgmlType type : {GgmlType::Q4_0, GgmlType::Q4_K, GgmlType::Q8_0}) {
    constexpr int kTries = 24;
    int n_found = 0;
    for (int i = 0; i < kTries; ++i) {
      const auto report = check_changed([&](ModelEdit& edit) {
        edit.convert_matrices(type);
        edit.edit_bytes("blk.0.ffn_up.weight", [&](std::vector<std::byte>& bytes) {
          const auto block = static_cast<size_t>(find_type(type)->block_bytes);
          bytes[(7 * static_cast<size_t>(i) + 1) * block - 1 - static_cast<size_t>(i) % 8] ^=
              std::byte{1};
        });
      });
      n_found += report.faults.size() == 1 && report.faults[0].n_wrong == 1 ? 1 : 0;
    }
    EXPECT_GE(n_found, kTries - 2) << type_name(type);
  }
}

TEST_F(CheckConversion, FindsOneWrongWeight) {
  const auto report = check_changed([](ModelEdit& edit) {
    edit.edit_bytes("blk.1.ffn_up.weight",
                    [](std::vector<std::byte>& bytes) { bytes[64 * 4 + 8] ^= std::byte{1}; });
  });
  expect_one(report, "blk.1.ffn_up.weight", "one weight");
  ASSERT_FALSE(report.faults.empty());
  EXPECT_EQ(report.faults[0].row, 1);
  EXPECT_EQ(report.faults[0].column, 2);
}

TEST_F(CheckConversion, FindsWhatIsMissingAndWhatIsTooMany) {
  make({.change = [](json&, json&, std::vector<StoredTensor>& tensors) {
    tensors.push_back(
        {"model.layers.0.self_attn.q_proj.bias", "F32", {64}, std::string(256, '\1')});
  }});
  expect_one(check(model_), "model.layers.0.self_attn.q_proj.bias", "bias");
  make({.change = [](json&, json&, std::vector<StoredTensor>& tensors) {
    std::erase_if(tensors, [](const StoredTensor& tensor) {
      return tensor.name == "model.layers.1.mlp.up_proj.weight";
    });
  }});
  expect_one(check(model_), "blk.1.ffn_up.weight", "no such tensor");
}

TEST_F(CheckConversion, ComparesKeys) {
  expect_one(check_changed([](ModelEdit& edit) {
               edit.metadata().set_f32("llama.attention.layer_norm_rms_epsilon", 1e-6f);
             }),
             "llama.attention.layer_norm_rms_epsilon", "key wrong");
  // Native refuses a file whose heads do not part its width; the key is named all the same.
  const auto report = check_changed(
      [](ModelEdit& edit) { edit.metadata().set_u32("llama.attention.head_count", 5); });
  ASSERT_FALSE(report.faults.empty());
  EXPECT_EQ(report.faults[0].where, "llama.attention.head_count");
}

TEST_F(CheckConversion, ComparesTheVocabulary) {
  make({.change = [](json& config, json& tokenizer, std::vector<StoredTensor>&) {
    config["eos_token_id"] = 7;
    json& merges = tokenizer["model"]["merges"];
    merges.erase(merges.begin() + 2);
    tokenizer["added_tokens"][0]["special"] = false;
    tokenizer["added_tokens"][0]["content"] = "other";
  }});
  const auto report = check(model_);
  EXPECT_EQ(report.tensors.differing, 0);
  EXPECT_EQ(report.specials.differing, 1);
  EXPECT_EQ(report.merges.differing, 1);
  EXPECT_EQ(report.tokens.differing, 1);
  for (const ConversionFault& fault : report.faults) {
    if (fault.kind != "merge") continue;
    EXPECT_EQ(fault.cause, "a merge was put in");
    EXPECT_EQ(fault.where, "merge 2");
  }
}

TEST_F(CheckConversion, ComparesTypesOfTokens) {
  const auto report = check_changed([](ModelEdit& edit) {
    const auto& held = std::get<std::vector<int64_t>>(
        edit.original().metadata().at("tokenizer.ggml.token_type").value);
    std::vector<int32_t> types(held.begin(), held.end());
    const auto control = std::ranges::find(types, 3);
    ASSERT_NE(control, types.end());
    *control = 1;
    edit.metadata().set_i32_array("tokenizer.ggml.token_type", types);
  });
  ASSERT_EQ(report.faults.size(), 1u);
  EXPECT_TRUE(report.faults[0].where.starts_with("type of token")) << report.faults[0].where;
  EXPECT_EQ(report.faults[0].cause, "token's type wrong");
}

TEST_F(CheckConversion, NamesTheFirstCharacterOfATemplate) {
  make({.chat_template = "{{ messages[0].content }}"});
  const auto with = [&](const char* text) {
    return check_changed(
        [&](ModelEdit& edit) { edit.metadata().set_string("tokenizer.chat_template", text); });
  };
  EXPECT_EQ(with("{{ messages[0].content }}").status, Status::agree);
  const auto report = with("{{ messages[1].content }}");
  expect_one(report, "tokenizer.chat_template", "template altered");
  ASSERT_FALSE(report.faults.empty());
  EXPECT_NE(report.faults[0].explanation.find("number 12"), std::string::npos);
  EXPECT_EQ(check(model_).faults.at(0).cause, "the template was dropped");
}

TEST_F(CheckConversion, NamesExchangedExperts) {
  const std::string model = dir_.file("experts.gguf");
  testing::write_arch_model(model, *find_arch("qwen3moe"));
  testing::write_tiny_checkpoint(model, dir_.path(), {.has_halves = false});
  EXPECT_EQ(check(model).tensors.differing, 0);
  ModelEdit edit(model);
  const std::string name = "blk.1.ffn_up_exps.weight";
  const int64_t n_rows = edit.shape(name)[1];
  edit.replace_f32(name, edit.shape(name), rows_of(edit, name, [&](int64_t row) {
                     return row < n_rows ? row + n_rows : row < 2 * n_rows ? row - n_rows : row;
                   }));
  edit.write(dir_.file("changed.gguf"));
  const auto report = check(dir_.file("changed.gguf"));
  ASSERT_EQ(report.tensors.differing, 1);
  for (const ConversionFault& fault : report.faults) {
    if (fault.kind != "tensor") continue;
    EXPECT_EQ(fault.cause, "experts were exchanged: number 0 has 1, 1 has 0");
  }
}

TEST_F(CheckConversion, SaysWhereThereAreNoNames) {
  testing::write_tiny_model(model_, {.architecture = "bitnet", .tied_output = true});
  const auto report = check(model_);
  EXPECT_EQ(report.status, Status::bad_input);
  ASSERT_TRUE(report.error);
  EXPECT_EQ(report.error->code, "no_names");
}

}  // namespace
}  // namespace crossval
