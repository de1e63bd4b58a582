// Damaged and foreign files, refused with their own reason before an engine starts.
#include "native/check_model.h"

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "native/support.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::ModelEdit;
using testing::write_tiny_model;

class CheckModelTest : public ::testing::Test {
 protected:
  std::shared_ptr<const ModelFile> changed(const std::function<void(ModelEdit&)>& change) {
    write_tiny_model(folder_.file("a.gguf"));
    ModelEdit edit(folder_.file("a.gguf"));
    change(edit);
    edit.write(folder_.file("b.gguf"));
    return ModelFile::open(folder_.file("b.gguf"));
  }
  // "" = the file is as it should be.
  std::string refusal(const std::function<void(ModelEdit&)>& change) {
    try {
      check_model(*changed(change));
    } catch (const Error& error) {
      EXPECT_EQ(error.status, Status::bad_input);
      return error.what_;
    }
    return "";
  }

  testing::TempDir folder_;
};

TEST_F(CheckModelTest, a_whole_model_passes) {
  EXPECT_EQ(refusal([](ModelEdit&) {}), "");
  // One value for each layer is a value.
  EXPECT_EQ(
      refusal([](ModelEdit& edit) { edit.metadata().set_u32("llama.attention.head_count_kv", 2); }),
      "");
}

TEST_F(CheckModelTest, other_kinds_of_files_are_named) {
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.metadata().set_string("general.type", "adapter");
            }).find("LoRA"),
            std::string::npos);
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.metadata().set_string("general.type", "mmproj");
            }).find("projector"),
            std::string::npos);
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.metadata().set_string("general.type", "imatrix");
            }).find("importance"),
            std::string::npos);
}

TEST_F(CheckModelTest, layers_are_counted) {
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.metadata().set_u32("llama.block_count", 1);
            }).find("blk.1."),
            std::string::npos);
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.metadata().set_u32("llama.block_count", 3);
            }).find("layer 2"),
            std::string::npos);
}

TEST_F(CheckModelTest, keys_and_shapes_are_checked) {
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.metadata().set_string("llama.attention.layer_norm_rms_epsilon", "1e-5");
            }).find("type"),
            std::string::npos);
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.replace_f32("blk.1.ffn_up.weight", {96, 64}, std::vector<float>(96 * 64));
            }).find("shape"),
            std::string::npos);
  EXPECT_NE(refusal([](ModelEdit& edit) {
              edit.replace_f32("token_embd.weight", {64, 8}, std::vector<float>(8 * 64));
            }).find("rows"),
            std::string::npos);
}

TEST_F(CheckModelTest, native_refuses_what_it_would_leave_out) {
  const auto reason = [&](const std::function<void(ModelEdit&)>& change) {
    return native_unsupported_reason(*changed(change)).value_or("");
  };
  const auto add = [](const char* name) {
    return [name](ModelEdit& edit) {
      edit.add(name, GgmlType::F32, {1}, std::vector<std::byte>(sizeof(float)));
    };
  };
  EXPECT_NE(reason(add("blk.0.attn_gate.weight")).find("blk.0.attn_gate"), std::string::npos);
  EXPECT_NE(reason(add("blk.0.attn_q_norm.weight")).find("attn_q_norm"), std::string::npos);
  EXPECT_NE(reason(add("token_embd_norm.weight")).find("token_embd_norm"), std::string::npos);
  EXPECT_NE(reason(add("something.else")).find("something.else"), std::string::npos);
  // What Llama computes with where a file has it.
  EXPECT_EQ(reason(add("blk.0.attn_q.scale")), "");
  EXPECT_EQ(reason(add("blk.0.attn_q.input_scale")), "");
}

}  // namespace
}  // namespace crossval
