// A lifted copy holds the dequantised values of every tensor and the metadata, in one file; it
// vanishes with its owner, and nothing is written where the disk has no room. That engines
// compute the same from it: backends/lifted_model_test.cc.
#include "quant/lift.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "gguf/writer.h"
#include "quant/matmul.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::TempDir;

class Lift : public ::testing::TestWithParam<const char*> {};

TEST_P(Lift, HoldsTheDequantisedWeights) {
  const TempDir dir;
  testing::write_tiny_model(dir.file("m.gguf"), testing::parse_tiny_model(GetParam()));
  const testing::ModelEdit original(dir.file("m.gguf"));
  const auto model = ModelFile::open(dir.file("m.gguf"));
  const LiftedModel lifted = lift_model(*model, dir.path());
  const auto copy = ModelFile::open(lifted.path());
  EXPECT_EQ(copy->size_bytes(), lifted.size_bytes());
  EXPECT_EQ(copy->get_int("general.file_type"), 0);
  EXPECT_EQ(copy->get_float("llama.rope.freq_base"), model->get_float("llama.rope.freq_base"));
  ASSERT_EQ(copy->tensors().size(), model->tensors().size());
  for (const TensorView& tensor : copy->tensors()) {
    EXPECT_EQ(tensor.type, GgmlType::F32) << tensor.name;
    ASSERT_NE(model->find_tensor(tensor.name), nullptr) << tensor.name;
    EXPECT_EQ(tensor.shape, model->find_tensor(tensor.name)->shape) << tensor.name;
    const std::vector<float> values = original.values(tensor.name);
    ASSERT_EQ(tensor.data.size(), values.size() * sizeof(float));
    EXPECT_EQ(std::memcmp(tensor.data.data(), values.data(), tensor.data.size()), 0) << tensor.name;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, Lift,
                         ::testing::Values("type=f32", "type=f16", "type=q4_1", "type=q8_0",
                                           "type=q6_k,embd=256,ff=512"));

TEST(LiftedModel, IsGoneWithItsOwner) {
  const TempDir dir, target;
  testing::write_tiny_model(dir.file("m.gguf"));
  const auto model = ModelFile::open(dir.file("m.gguf"));
  std::string path;
  {
    std::optional<LiftedModel> first = lift_model(*model, target.path());
    const LiftedModel second = std::move(*first);
    first.reset();
    path = second.path();
    EXPECT_TRUE(std::filesystem::exists(path));  // not removed by what it was moved from
  }
  EXPECT_EQ(target.n_entries(), 0);
  EXPECT_FALSE(std::filesystem::exists(path));
}

Error error_of(const ModelFile& model, const std::string& dir) {
  try {
    lift_model(model, dir);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error";
  return Error(Status::agree, "", "", "", "");
}

TEST(LiftedModel, RoomIsCheckedBeforeAnythingIsWritten) {
  const TempDir dir, target;
  // A file with a hole, which takes a few kilobytes.
  GgufWriter out;
  out.set_string("general.architecture", "llama");
  out.add_tensor("small", GgmlType::F16, {64, 64}, [] { return std::vector<std::byte>(8192); });
  out.write(dir.file("m.gguf"));
  auto content = testing::read_text(dir.file("m.gguf"));
  const int64_t rows = int64_t{1} << 35;  // 4 TiB of F16, 8 TiB of F32
  const std::string name = "small";
  const size_t at = content.find(name) + name.size() + sizeof(uint32_t) + sizeof(int64_t);
  std::memcpy(&content[at], &rows, sizeof(rows));
  testing::write_text(dir.file("big.gguf"), content);
  std::error_code failed;
  std::filesystem::resize_file(dir.file("big.gguf"), content.size() + (uint64_t{128} * rows),
                               failed);
  if (failed) GTEST_SKIP() << "this file system makes no sparse files of 4 TiB";
  const Error error = error_of(*ModelFile::open(dir.file("big.gguf")), target.path());
  EXPECT_EQ(error.code, "disk_full");
  EXPECT_NE(error.what_.find("are missing"), std::string::npos) << error.what_;
  EXPECT_EQ(target.n_entries(), 0);
}

// A table of ids is none of weights.
TEST(LiftedModel, IntegersStayAsTheyAre) {
  const TempDir dir;
  testing::write_tiny_model(dir.file("m.gguf"));
  testing::ModelEdit edit(dir.file("m.gguf"));
  const std::vector<std::byte> ids = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  edit.add("ids", GgmlType::I32, {1}, ids);
  edit.add("blocks", GgmlType::Q8_K, {256}, std::vector<std::byte>(292));
  edit.write(dir.file("with_ids.gguf"));
  const LiftedModel lifted = lift_model(*ModelFile::open(dir.file("with_ids.gguf")), dir.path());
  const auto model = ModelFile::open(lifted.path());
  ASSERT_NE(model->find_tensor("ids"), nullptr);
  EXPECT_EQ(model->find_tensor("ids")->type, GgmlType::I32);
  EXPECT_TRUE(std::ranges::equal(model->find_tensor("ids")->data, ids));
  EXPECT_EQ(model->find_tensor("blocks")->type, GgmlType::F32);
}

TEST(LiftedModel, SaysWhatItCannotDo) {
  const TempDir dir;
  testing::write_tiny_model(dir.file("m.gguf"));
  EXPECT_EQ(error_of(*ModelFile::open(dir.file("m.gguf")), dir.file("absent")).code,
            "cannot_write");
}

}  // namespace
}  // namespace crossval
