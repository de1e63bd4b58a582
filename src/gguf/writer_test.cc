// What the writer writes, the reader reads back: every kind of value, both versions, splits.
#include "gguf/writer.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "gguf/reader.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using testing::TempDir;

std::vector<std::byte> bytes_of(size_t n, int first) {
  std::vector<std::byte> bytes(n);
  for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<std::byte>(first + static_cast<int>(i));
  return bytes;
}

GgufWriter sample() {
  GgufWriter out;
  out.set_string("general.architecture", "llama");
  out.set_u32("k.u32", 7);
  out.set_i32("k.i32", -7);
  out.set_u64("k.u64", 1ull << 63);
  out.set_f32("k.f32", 0.25f);
  out.set_bool("k.bool", true);
  const std::array<int32_t, 3> ints{1, -2, 3};
  const std::array<float, 2> floats{0.5f, NAN};
  const std::array<std::string, 3> strings{"a", "", "\xff\n"};
  out.set_i32_array("k.ints", ints);
  out.set_f32_array("k.floats", floats);
  out.set_string_array("k.strings", strings);
  out.add_tensor("a", GgmlType::F32, {3, 2}, [] { return bytes_of(24, 1); });
  out.add_tensor("b", GgmlType::Q4_1, {32}, [] { return bytes_of(20, 100); });
  out.add_tensor("none", GgmlType::F32, {0, 5}, [] { return bytes_of(0, 0); });
  return out;
}

TEST(Writer, a_streamed_tensor_is_the_same_file_and_the_size_is_known_before) {
  const TempDir folder;
  GgufWriter at_once, streamed;
  const std::vector<std::byte> bytes = bytes_of(24, 1);
  at_once.add_tensor("a", GgmlType::F32, {3, 2}, bytes);
  streamed.add_tensor("a", GgmlType::F32, {3, 2}, [&](const GgufWriter::Put& put) {
    for (size_t row = 0; row < 2; ++row) put(std::span(bytes).subspan(12 * row, 12));
  });
  at_once.write(folder.file("a.gguf"));
  streamed.write(folder.file("b.gguf"));
  const std::string content = testing::read_text(folder.file("a.gguf"));
  EXPECT_EQ(testing::read_text(folder.file("b.gguf")), content);
  EXPECT_EQ(streamed.file_bytes(), content.size());
}

TEST(Writer, everything_comes_back) {
  const TempDir folder;
  for (const int version : {2, 3}) {
    for (const uint32_t alignment : {8u, 32u, 256u}) {
      const std::string path = folder.file("m.gguf");
      GgufWriter out = sample();
      out.set_version(version);
      out.set_alignment(alignment);
      out.write(path);
      const auto model = ModelFile::open(path);
      EXPECT_EQ(model->version(), version);
      EXPECT_EQ(model->architecture(), "llama");
      EXPECT_EQ(model->get_int("k.u32"), 7);
      EXPECT_EQ(model->get_int("k.i32"), -7);
      EXPECT_EQ(model->get_float("k.f32"), 0.25);
      EXPECT_EQ(model->get_bool("k.bool"), true);
      EXPECT_EQ(model->get_int("absent"), std::nullopt);
      EXPECT_EQ(std::get<std::vector<int64_t>>(model->find("k.ints")->value),
                (std::vector<int64_t>{1, -2, 3}));
      EXPECT_TRUE(std::isnan(std::get<std::vector<double>>(model->find("k.floats")->value)[1]));
      EXPECT_EQ(std::get<MetaValue::StringArray>(model->find("k.strings")->value),
                (MetaValue::StringArray{"a", "", "\xff\n"}));
      ASSERT_EQ(model->tensors().size(), 3u);
      const TensorView* b = model->find_tensor("b");
      ASSERT_NE(b, nullptr);
      EXPECT_EQ(b->file_offset % alignment, 0u);
      EXPECT_EQ(std::vector<std::byte>(b->data.begin(), b->data.end()), bytes_of(20, 100));
      EXPECT_EQ(model->find_tensor("a")->n_rows(), 2);
      EXPECT_EQ(model->find_tensor("none")->n_elements(), 0);
      EXPECT_EQ(model->n_params(), 6 + 32);
      EXPECT_EQ(model->quantization(), "Q4_1");
      EXPECT_EQ(model->size_bytes() % alignment, 0);
    }
  }
}

TEST(Writer, copied_values_are_the_same_bytes) {
  const TempDir folder;
  sample().write(folder.file("a.gguf"));
  const auto model = ModelFile::open(folder.file("a.gguf"));
  GgufWriter copy;
  for (const auto& [key, value] : model->metadata()) copy.copy(key, value);
  for (const TensorView& t : model->tensors()) copy.add_tensor(t.name, t.type, t.shape, t.data);
  copy.write(folder.file("b.gguf"));
  EXPECT_EQ(testing::read_text(folder.file("a.gguf")), testing::read_text(folder.file("b.gguf")));
}

TEST(ModelFile, a_value_of_another_kind_is_an_error) {
  const TempDir folder;
  sample().write(folder.file("m.gguf"));
  const auto model = ModelFile::open(folder.file("m.gguf"));
  EXPECT_THROW(model->get_int("k.f32"), Error);
  EXPECT_THROW(model->get_int("k.u64"), Error);  // beyond int64
  EXPECT_THROW(model->get_int("k.ints"), Error);
  EXPECT_THROW(model->get_float("k.u32"), Error);
  EXPECT_THROW(model->get_bool("k.u32"), Error);
  EXPECT_THROW(model->get_string("k.strings"), Error);
}

struct SplitModel {
  TempDir folder;
  std::string part(int i) const {
    return folder.file("m-0000" + std::to_string(i + 1) + "-of-00003.gguf");
  }
  static GgufWriter content(int i) {
    GgufWriter out;
    if (i == 0) out.set_string("general.architecture", "llama");
    out.set_u32("split.no", static_cast<uint32_t>(i));
    out.set_u32("split.count", 3);
    out.set_i32("split.tensors.count", 2);
    if (i > 0) {
      out.add_tensor("t" + std::to_string(i), GgmlType::F32, {2},
                     [i] { return bytes_of(8, 10 * i); });
    }
    return out;
  }
  SplitModel() {
    for (int i = 0; i < 3; ++i) content(i).write(part(i));
  }
  std::string open_code(int i = 0) const {
    try {
      ModelFile::open(part(i));
    } catch (const Error& error) {
      return error.code;
    }
    return "";
  }
};

TEST(ModelFile, split_files_are_joined) {
  const SplitModel split;
  const auto model = ModelFile::open(split.part(0));
  EXPECT_EQ(model->parts().size(), 3u);
  ASSERT_EQ(model->tensors().size(), 2u);
  EXPECT_EQ(model->find_tensor("t2")->data[0], std::byte{20});
  EXPECT_EQ(model->find_tensor("t2")->part, 2);
  EXPECT_EQ(model->architecture(), "llama");
}

TEST(ModelFile, split_files_that_do_not_fit_together) {
  SplitModel split;
  EXPECT_EQ(split.open_code(1), "not_first_part");
  SplitModel::content(1).write(split.part(2));  // a part twice
  EXPECT_EQ(split.open_code(), "damaged_file");
  GgufWriter twice = SplitModel::content(2);
  twice.add_tensor("t1", GgmlType::F32, {2}, [] { return bytes_of(8, 0); });
  twice.write(split.part(2));
  EXPECT_EQ(split.open_code(), "damaged_file");
  GgufWriter more = SplitModel::content(2);
  more.add_tensor("t3", GgmlType::F32, {2}, [] { return bytes_of(8, 0); });
  more.write(split.part(2));
  EXPECT_EQ(split.open_code(), "damaged_file");
  std::filesystem::remove(split.part(2));
  EXPECT_EQ(split.open_code(), "missing_part");
  std::filesystem::rename(split.part(0), split.folder.file("other.gguf"));
  EXPECT_THROW(ModelFile::open(split.folder.file("other.gguf")), Error);
}

std::string fix_of(const std::string& path) {
  try {
    ModelFile::open(path);
  } catch (const Error& error) {
    return error.code + ": " + error.fix;
  }
  return "";
}

TEST(ModelFile, parts_joined_as_they_are_are_refused_as_that) {
  const SplitModel split;
  const std::string joined = split.folder.file("joined.gguf");
  std::string text;
  for (int i = 0; i < 3; ++i) text += testing::read_text(split.part(i));
  testing::write_text(joined, text);
  EXPECT_TRUE(fix_of(joined).starts_with("joined_parts: ")) << fix_of(joined);
  EXPECT_EQ(split.open_code(), "");
}

TEST(ModelFile, a_piece_of_a_cut_file_says_how_to_join_them) {
  const TempDir folder;
  sample().write(folder.file("m.gguf"));
  const std::string text = testing::read_text(folder.file("m.gguf"));
  const size_t half = text.size() / 2;
  for (const auto& [first, second, join] :
       {std::tuple("m.gguf.part1of2", "m.gguf.part2of2", "`cat m.gguf.part* > m.gguf`"),
        std::tuple("m.gguf-split-a", "m.gguf-split-b", "`cat m.gguf-split-* > m.gguf`")}) {
    testing::write_text(folder.file(first), text.substr(0, half));
    testing::write_text(folder.file(second), text.substr(half));
    for (const char* piece : {first, second}) {
      const std::string fix = fix_of(folder.file(piece));
      EXPECT_TRUE(fix.starts_with("piece_of_a_file: ")) << fix;
      EXPECT_NE(fix.find(join), std::string::npos) << fix;
    }
  }
  testing::write_text(folder.file("whole.part1"), text);  // a name alone is no fault
  EXPECT_EQ(fix_of(folder.file("whole.part1")), "");
}

}  // namespace
}  // namespace crossval
