// TL1 and TL2: hashes of weights that bitnet.cpp's own converter (convert-hf-to-gguf-bitnet.py,
// `preprocess_weights_tl1`, `preprocess_weights_tl2`) packs into these bytes again; which tensors
// of a file are taken for them, and where their scale is.
#include "gguf/tl_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "base/error.h"
#include "gguf/model_file.h"
#include "gguf/writer.h"
#include "support/golden.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

// Two codes of 1 to 7 a byte, which are pairs and triples, and signs of any kind.
std::vector<std::byte> made_up_codes(size_t n) {
  std::vector<std::byte> codes(n);
  testing::Numbers numbers;
  const auto next = [&] { return numbers.next() % 7 + 1; };
  for (auto& byte : codes) {
    const unsigned high = next();
    byte = static_cast<std::byte>(high << 4 | next());
  }
  return codes;
}

struct Golden {
  GgmlType type;
  int64_t n_rows, row_len;
  uint64_t hash;
};

TEST(TlLayout, WeightsAreThoseOfTheRealConverter) {
  constexpr Golden goldens[] = {
      {GgmlType::TL1, 1536, 1536, 0x32ab2a61f9c189b5u},
      {GgmlType::TL1, 1024, 4096, 0x6b4d54373ef0f6a5u},
      {GgmlType::TL2, 1536, 1536, 0x850bfa167da4807eu},
      {GgmlType::TL2, 1024, 4096, 0xc978214e3cf40fc5u},
  };
  for (const Golden& golden : goldens) {
    const int64_t shape[] = {golden.row_len, golden.n_rows};
    const auto n_bytes = tl_code_bytes(golden.type, shape);
    ASSERT_TRUE(n_bytes);
    const std::vector<std::byte> codes = made_up_codes(static_cast<size_t>(*n_bytes));
    const std::vector<std::byte> turned = tl_to_i2_s(golden.type, codes, 0.75f, shape);
    ASSERT_EQ(static_cast<int64_t>(turned.size()), *tensor_bytes(golden.type, shape));
    float scale;
    std::memcpy(&scale, turned.data() + turned.size() - kTlScaleBytes, sizeof scale);
    EXPECT_EQ(scale, 0.75f);
    uint64_t hash = testing::kFnvStart;
    for (int64_t i = 0; i < golden.row_len * golden.n_rows; ++i) {
      const auto byte = static_cast<unsigned>(turned[static_cast<size_t>(i / 64 * 16 + i % 16)]);
      const auto code = static_cast<uint8_t>(byte >> (6 - 2 * (i % 64 / 16)) & 3u);
      hash = testing::fnv(&code, 1, hash);
    }
    EXPECT_EQ(hash, golden.hash) << type_name(golden.type) << " " << golden.row_len;
  }
}

// A file of one tensor "w" of these bytes, of a type and shape that the writer does not write, and
// perhaps its scale in a tensor of its own.
std::shared_ptr<const ModelFile> file_of(std::vector<std::byte> bytes, uint32_t type,
                                         int64_t row_len, int64_t n_rows, const float* scale) {
  const testing::TempDir dir;
  const std::string path = dir.file("m.gguf");
  GgufWriter writer;
  writer.set_string("general.architecture", "bitnet");
  const auto n_bytes = static_cast<int64_t>(bytes.size());
  writer.add_tensor("w", GgmlType::I8, {32, n_bytes / 32}, bytes);
  if (scale != nullptr) {
    writer.add_tensor("w_scale", GgmlType::F32, {1}, std::as_bytes(std::span(scale, 1)));
  }
  writer.write(path);
  std::ifstream in(path, std::ios::binary);
  std::string file(std::istreambuf_iterator<char>(in), {});
  const std::string name("\1\0\0\0\0\0\0\0w\2\0\0\0", 13);  // and two dimensions
  const size_t at = file.find(name) + name.size();
  std::memcpy(&file[at], &row_len, sizeof row_len);
  std::memcpy(&file[at + 8], &n_rows, sizeof n_rows);
  std::memcpy(&file[at + 16], &type, sizeof type);
  std::ofstream(path, std::ios::binary) << file;
  return ModelFile::open(path);
}

TEST(TlLayout, FilesSayTypeAndScale) {
  const int64_t shape[] = {1536, 1536};
  const float scale = 0.125f;
  for (const GgmlType type : {GgmlType::TL1, GgmlType::TL2}) {
    const std::vector<std::byte> codes =
        made_up_codes(static_cast<size_t>(*tl_code_bytes(type, shape)));
    std::vector<std::byte> with_scale = codes;
    with_scale.resize(codes.size() + kTlScaleBytes);
    std::memcpy(with_scale.data() + codes.size(), &scale, sizeof scale);
    const uint32_t id = type == GgmlType::TL1 ? 38 : 39;
    const std::vector<std::byte> want = tl_to_i2_s(type, codes, scale, shape);
    for (const auto& model :
         {file_of(with_scale, id, 1536, 1536, nullptr), file_of(codes, id, 1536, 1536, &scale)}) {
      const TensorView& tensor = *model->find_tensor("w");
      EXPECT_EQ(tensor.type, type);
      EXPECT_TRUE(std::ranges::equal(tensor.data, want));
    }
    EXPECT_THROW(file_of(codes, id, 1536, 1536, nullptr), Error);  // no scale
    EXPECT_THROW(file_of(with_scale, id, 3072, 768, nullptr), Error);
  }
  // As much as MXFP4 takes is MXFP4.
  const auto model =
      file_of(std::vector<std::byte>(1536 * 1536 / 32 * 17), 39, 1536, 1536, nullptr);
  EXPECT_EQ(model->find_tensor("w")->type, GgmlType::MXFP4);
}

TEST(TlLayout, OnlyPublishedShapes) {
  const int64_t other[] = {1536, 1537}, experts[] = {1536, 1536, 2};
  EXPECT_FALSE(tl_code_bytes(GgmlType::TL1, other));
  EXPECT_FALSE(tl_code_bytes(GgmlType::TL2, experts));
}

}  // namespace
}  // namespace crossval
