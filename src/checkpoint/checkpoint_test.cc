#include "checkpoint/checkpoint.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "checkpoint/pieces.h"
#include "support/safetensors.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

using testing::safetensors;
using testing::StoredTensor;
using testing::TempDir;
using testing::write_text;

std::string refusal(const std::string& folder) {
  try {
    (void)Checkpoint::open(folder);
  } catch (const Error& error) {
    EXPECT_EQ(error.status, Status::bad_input);
    return error.what_;
  }
  return "";
}

StoredTensor two_floats(const std::string& name) {
  return {name, "F32", {2}, std::string("\0\0\x80\x3f\0\0\0\x40", 8)};
}

// The file with its header's text replaced by another of the same data.
std::string with_header(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

TEST(Checkpoint, ReadsOneFile) {
  const TempDir dir;
  write_text(dir.file("config.json"), R"({"a": 1, "text_config": {"b": 2}})");
  write_text(dir.file("model.safetensors"), safetensors({two_floats("w")}));
  const auto checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint->config()["b"], 2);
  ASSERT_NE(checkpoint->find("w"), nullptr);
  EXPECT_EQ(checkpoint->find("none"), nullptr);
  EXPECT_EQ(checkpoint->n_bytes(), 8);
  std::array<float, 2> values{};
  ASSERT_TRUE(read_elements(*checkpoint->find("w"), 0, 2, 1, values.data()));
  EXPECT_EQ(values[1], 2.0f);
  EXPECT_TRUE(checkpoint->read_json("tokenizer.json").is_null());
}

TEST(Checkpoint, ReadsPartsByTheirIndex) {
  const TempDir dir;
  write_text(dir.file("config.json"), "{}");
  write_text(dir.file("a.safetensors"), safetensors({two_floats("v")}));
  write_text(dir.file("b.safetensors"), safetensors({two_floats("w")}));
  EXPECT_NE(refusal(dir.path()).find("no index"), std::string::npos);
  const std::string index = dir.file("model.safetensors.index.json");
  write_text(index, R"({"weight_map": {"v": "a.safetensors", "w": "b.safetensors"}})");
  EXPECT_EQ(Checkpoint::open(dir.path())->tensors().size(), 2u);
  write_text(index, R"({"weight_map": {"v": "a.safetensors", "w": "a.safetensors"}})");
  EXPECT_NE(refusal(dir.path()).find("'w' is not in"), std::string::npos);
}

TEST(Checkpoint, IndexNamesFilesOfTheFolderAlone) {
  const TempDir around;
  const std::string folder = around.file("checkpoint");
  std::filesystem::create_directories(folder + "/sub");
  write_text(folder + "/config.json", "{}");
  // All of them are there, and whole.
  const std::string whole = safetensors({two_floats("w")});
  for (const char* name :
       {"/x.safetensors", "/../x.safetensors", "/sub/x.safetensors", "/x.bin", "/.x.safetensors"}) {
    write_text(folder + name, whole);
  }
  const auto with_index = [&](const std::string& name) {
    write_text(folder + "/model.safetensors.index.json",
               nlohmann::json{{"weight_map", {{"w", name}}}}.dump());
    return refusal(folder);
  };
  EXPECT_EQ(with_index("x.safetensors"), "");
  for (const std::string& name :
       {std::string("../x.safetensors"), around.file("x.safetensors"),
        std::string("sub/x.safetensors"), std::string(".x.safetensors"), std::string("x.bin"),
        std::string(), std::string("none.safetensors")}) {
    EXPECT_NE(with_index(name), "") << name;
  }
  const TempDir dir;
  write_text(dir.file("config.json"), "{}");
  for (const char* index : {"[]", "{}", R"({"weight_map": []})", R"({"weight_map": {}})",
                            R"({"weight_map": {"w": 3}})", "{"}) {
    write_text(dir.file("model.safetensors.index.json"), index);
    EXPECT_NE(refusal(dir.path()), "") << index;
  }
}

TEST(Checkpoint, RefusesWhatIsNone) {
  const TempDir dir;
  EXPECT_NE(refusal(dir.file("none")), "");
  EXPECT_NE(refusal(dir.path()).find("config.json"), std::string::npos);
  for (const std::string& config : {std::string("[1]"), std::string("{"), std::string(100, '[')}) {
    write_text(dir.file("config.json"), config);
    EXPECT_NE(refusal(dir.path()), "") << config;
  }
  write_text(dir.file("config.json"), "{}");
  EXPECT_NE(refusal(dir.path()).find("no weights"), std::string::npos);
}

TEST(Checkpoint, RefusesDamagedWeights) {
  const TempDir dir;
  write_text(dir.file("config.json"), "{}");
  const std::string data(8, '\0');
  const auto entry = [](const char* shape, const char* offsets, const char* type = "F32") {
    return std::string(R"({"w": {"dtype": ")") + type + R"(", "shape": )" + shape +
           R"(, "data_offsets": )" + offsets + "}}";
  };
  for (const std::string& file : {
           std::string("short"),
           with_header("{}", ""),
           with_header(entry("[3]", "[0, 8]"), data),
           with_header(entry("[2]", "[0, 16]"), data),
           with_header(entry("[2]", "[8, 0]"), data),
           with_header(entry("[-2]", "[0, 8]"), data),
           with_header(entry("[4294967296, 4294967296, 4294967296]", "[0, 8]"), data),
           with_header(entry("[1]", "[4, 8]"), data),
           with_header(entry("[2]", "[0, 8]", "Q9"), data),
           with_header("[" + entry("[2]", "[0, 8]") + "]", data),
           with_header(std::string(200, '['), data),
           with_header(entry("[2]", "[0, 8]"), data + "more"),
           std::string("\xff\xff\xff\xff\xff\xff\xff\x7f", 8) + "{}",
       }) {
    write_text(dir.file("model.safetensors"), file);
    if (file == with_header("{}", "")) continue;  // an empty file of tensors is one
    EXPECT_NE(refusal(dir.path()), "") << file;
  }
}

TEST(Checkpoint, ScalesAreWithTheirWeights) {
  const TempDir dir;
  write_text(dir.file("config.json"),
             R"({"quantization_config": {"quant_method": "fp8", "weight_block_size": [1, 2]}})");
  const float scales[] = {2, 3, 4, 5};
  const std::string exponents("\x80\x7f", 2);
  std::string blocks(32, '\0');
  blocks[0] = '\x21';   // 0.5 and 1
  blocks[16] = '\x0f';  // -6 and 0
  write_text(dir.file("model.safetensors"),
             safetensors({{"a.weight", "F8_E4M3", {2, 3}, std::string(6, '\x38')},
                          {"a.weight_scale_inv",
                           "F32",
                           {2, 2},
                           std::string(reinterpret_cast<const char*>(scales), 16)},
                          {"b_blocks", "U8", {2, 1, 16}, blocks},
                          {"b_scales", "U8", {2, 1}, exponents},
                          {"c_scales", "U8", {2}, exponents}}));
  const auto checkpoint = Checkpoint::open(dir.path());
  EXPECT_EQ(checkpoint->find("a.weight_scale_inv"), nullptr);
  EXPECT_NE(checkpoint->find("c_scales"), nullptr) << "nothing that it belongs to";
  std::array<float, 6> a{};
  ASSERT_TRUE(read_elements(*checkpoint->find("a.weight"), 0, 6, 1, a.data()));
  EXPECT_EQ(a, (std::array<float, 6>{2, 2, 3, 4, 4, 5}));
  const SafetensorsTensor& b = *checkpoint->find("b_blocks");
  EXPECT_EQ(b.shape, (std::vector<int64_t>{2, 32}));
  std::array<float, 2> first{}, second{};
  ASSERT_TRUE(read_elements(b, 0, 2, 1, first.data()));
  ASSERT_TRUE(read_elements(b, 32, 2, 1, second.data()));
  EXPECT_EQ(first, (std::array<float, 2>{1, 2}));
  EXPECT_EQ(second, (std::array<float, 2>{-6, 0}));
}

float one(const std::string& type, const std::string& bytes, int64_t stride = 1) {
  SafetensorsTensor tensor;
  tensor.dtype = type;
  tensor.shape = {static_cast<int64_t>(bytes.size())};
  tensor.data = std::as_bytes(std::span(bytes.data(), bytes.size()));
  std::array<float, 2> values = {NAN, NAN};
  EXPECT_TRUE(read_elements(tensor, 0, stride == 1 ? 1 : 2, stride, values.data()));
  return values[stride == 1 ? 0 : 1];
}

TEST(Elements, AreReadInEveryType) {
  EXPECT_EQ(one("F8_E4M3", "\x38"), 1.0f);
  EXPECT_EQ(one("F8_E4M3", "\xfe"), -448.0f);
  EXPECT_EQ(one("F8_E4M3", "\x01"), 0x1p-9f);
  EXPECT_TRUE(std::isnan(one("F8_E4M3", "\x7f")));
  EXPECT_EQ(one("F8_E5M2", "\x3c"), 1.0f);
  EXPECT_EQ(one("F8_E5M2", "\x7b"), 57344.0f);
  EXPECT_TRUE(std::isinf(one("F8_E5M2", "\x7c")));
  EXPECT_EQ(one("BF16", std::string("\x80\x3f", 2)), 1.0f);
  EXPECT_EQ(one("F16", std::string("\0\x3c", 2)), 1.0f);
  EXPECT_EQ(one("F64", std::string("\0\0\0\0\0\0\xf0\x3f", 8)), 1.0f);
  EXPECT_EQ(one("I32", std::string("\3\0\0\0", 4)), 3.0f);
  EXPECT_EQ(one("BF16", std::string("\0\0\0\0\x80\x3f", 6), 2), 1.0f) << "every second one";
  SafetensorsTensor flags;
  flags.dtype = "BOOL";
  float out = 0;
  EXPECT_FALSE(read_elements(flags, 0, 1, 1, &out));
}

TEST(SentencePieces, AreReadFromProtobuf) {
  // Two pieces: text, score -1.5 and type; and a field of the model that is passed over.
  const std::string model(
      "\x0a\x0a\x0a\x01"
      "a"
      "\x15\0\0\xc0\xbf\x18\x03"
      "\x0a\x03\x0a\x01"
      "b"
      "\x12\x02"
      "xy",
      21);
  const auto pieces = read_pieces(model);
  ASSERT_TRUE(pieces);
  ASSERT_EQ(pieces->size(), 2u);
  EXPECT_EQ((*pieces)[0].text, "a");
  EXPECT_EQ((*pieces)[0].score, -1.5f);
  EXPECT_EQ((*pieces)[0].type, 3);
  EXPECT_EQ((*pieces)[1].text, "b");
  EXPECT_EQ((*pieces)[1].type, 1);
  for (size_t n = 0; n < model.size(); ++n) (void)read_pieces(model.substr(0, n));
  EXPECT_FALSE(read_pieces(model.substr(0, 6)));
  EXPECT_FALSE(read_pieces(std::string(20, '\xff')));
  EXPECT_FALSE(read_pieces(""));
}

}  // namespace
}  // namespace crossval
