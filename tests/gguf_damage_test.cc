// A damaged model loads or is refused with an Error: no crash, no hang, no more memory than the
// file justifies. In the process through the reader, and through the whole program.
#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "base/error.h"
#include "gguf/model_file.h"
#include "gguf/reader.h"
#include "support/damage.h"
#include "support/model_edit.h"
#include "support/subprocess.h"
#include "support/temp_dir.h"
#include "support/tiny_model.h"

namespace crossval {
namespace {

using testing::damaged_copy;
using testing::RunOptions;
using testing::RunResult;
using testing::TempDir;

#if defined(__SANITIZE_ADDRESS__)
constexpr int64_t kMaxRssBytes = 4LL << 30;  // the sanitizer's own memory
#else
constexpr int64_t kMaxRssBytes = 160LL << 20;
#endif

struct Sample {
  TempDir folder;
  std::string path = folder.file("tiny.gguf");
  std::string bytes;
  size_t header_bytes = 0;

  Sample() {
    testing::write_tiny_model(path, {.n_layers = 1, .n_embd = 32, .n_ff = 32});
    bytes = testing::read_text(path);
    header_bytes = read(bytes).data_offset;
  }

  static GgufPart read(const std::string& content) {
    return read_gguf_part("m.gguf", std::as_bytes(std::span(content.data(), content.size())));
  }
};

// True when the bytes were accepted; anything thrown but a complete bad_input Error is a failure.
bool accepted(const std::string& content) {
  try {
    const GgufPart part = Sample::read(content);
    // What was accepted can be read to its last byte.
    unsigned sum = 0;
    for (const TensorView& tensor : part.tensors) {
      for (const std::byte byte : tensor.data) sum += static_cast<unsigned>(byte);
    }
    for (const auto& [key, value] : part.metadata) sum += static_cast<unsigned>(value.raw.size());
    EXPECT_GE(sum, 0u);
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.status, Status::bad_input);
    EXPECT_FALSE(error.code.empty() || error.what_.empty() || error.where.empty() ||
                 error.fix.empty());
    return false;
  }
}

TEST(GgufDamage, truncated_anywhere) {
  const Sample sample;
  ASSERT_TRUE(accepted(sample.bytes));
  for (size_t n = 0; n < sample.header_bytes; ++n) {
    ASSERT_FALSE(accepted(sample.bytes.substr(0, n))) << "cut at byte " << n;
  }
  // Behind the header the last tensor misses bytes wherever the cut is; the padding may go.
  const GgufPart part = Sample::read(sample.bytes);
  const TensorView& last = part.tensors.back();
  const size_t needed = last.file_offset + last.data.size();
  for (size_t n = sample.header_bytes; n < needed; n += 37) {
    ASSERT_FALSE(accepted(sample.bytes.substr(0, n))) << "cut at byte " << n;
  }
  EXPECT_FALSE(accepted(sample.bytes.substr(0, needed - 1)));
  EXPECT_TRUE(accepted(sample.bytes.substr(0, needed)));
}

TEST(GgufDamage, damaged_at_random) {
  const Sample sample;
  int n_accepted = 0;
  for (uint64_t seed = 0; seed < 5000; ++seed) {
    n_accepted += accepted(damaged_copy(sample.bytes, sample.header_bytes, seed)) ? 1 : 0;
  }
  // Neither everything nor nothing: a changed letter in a token is harmless, a changed count not.
  EXPECT_GT(n_accepted, 100);
  EXPECT_LT(n_accepted, 4900);
}

TEST(GgufDamage, every_header_word_replaced) {
  const Sample sample;
  for (const uint64_t value : {~0ull, 1ull << 63, 1ull << 61, 0ull, 0xffffffffull}) {
    for (size_t at = 4; at + 8 <= sample.header_bytes; at += 1) {
      std::string content = sample.bytes;
      std::memcpy(content.data() + at, &value, sizeof(value));
      accepted(content);
    }
  }
}

// ---- through the program ----

RunResult run_crossval(std::vector<std::string> args) {
  args.insert(args.begin(), CROSSVAL_BIN);
  RunOptions options;
  options.timeout_ms = 20'000;
  return testing::run_program(args, options);
}

// Exit 3 with an Error on stderr, or what `harmless` allows; never a signal or a time-out.
void expect_clean_end(const RunResult& result, bool may_succeed, const std::string& what) {
  EXPECT_FALSE(result.timed_out) << what;
  EXPECT_EQ(result.signal, 0) << what << result.err;
  EXPECT_TRUE(result.exit_code == 3 || (may_succeed && result.exit_code == 0))
      << what << ": exit " << result.exit_code << "\n"
      << result.err;
  EXPECT_TRUE(result.exit_code != 3 || !result.err.empty()) << what;
  EXPECT_LT(result.peak_rss_bytes, kMaxRssBytes) << what;
}

// Native over three ids, or over a text, which the damaged vocabulary has to tokenise.
RunResult run_native(const std::string& model, bool with_text) {
  std::vector<std::string> args = {"run", "--engine",     "native", "--model",
                                   model, "--max-tokens", "1",      "--prompt-template",
                                   "raw"};
  if (with_text) {
    args.insert(args.end(), {"--prompt", "Hello world <|im_end|> 12"});
  } else {
    args.insert(args.end(), {"--tokens", "1,2,3"});
  }
  return run_crossval(args);
}

TEST(GgufDamage, inspect_and_run_end_cleanly) {
  const Sample sample;
  const std::string path = sample.folder.file("damaged.gguf");
  for (const bool with_text : {false, true}) {
    const auto whole = run_native(sample.path, with_text);
    ASSERT_EQ(whole.exit_code, 0) << whole.err;
  }
  int n_refused = 0;
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    testing::write_text(path, damaged_copy(sample.bytes, sample.header_bytes, seed));
    const std::string what = "seed " + std::to_string(seed);
    const auto result = run_native(path, seed % 3 == 0);
    expect_clean_end(result, true, "run, " + what);
    n_refused += result.exit_code == 3 ? 1 : 0;
    if (seed % 10 == 0) expect_clean_end(run_crossval({"inspect", path}), true, "inspect, " + what);
    if (HasFailure()) break;
  }
  EXPECT_GT(n_refused, 100);
}

// The shapes of published attacks on GGUF readers (CVE-2025-53630, CVE-2026-27940,
// CVE-2026-33298: sizes that overflow or exceed what was allocated) and their relatives.
TEST(GgufDamage, files_in_the_shape_of_known_attacks) {
  const Sample sample;
  const std::string path = sample.folder.file("attack.gguf");
  const auto number = [](auto value) {
    return std::string(reinterpret_cast<const char*>(&value), sizeof(value));
  };
  const auto text = [&](const std::string& value) {
    return number(uint64_t{value.size()}) + value;
  };
  const auto head = [&](uint64_t n_tensors, uint64_t n_keys) {
    return "GGUF" + number(uint32_t{3}) + number(n_tensors) + number(n_keys);
  };
  const auto tensor = [&](const std::string& name, std::vector<int64_t> shape, uint32_t type,
                          uint64_t offset) {
    std::string out = text(name) + number(static_cast<uint32_t>(shape.size()));
    for (const int64_t dim : shape) out += number(dim);
    return out + number(type) + number(offset);
  };
  const auto array = [&](uint32_t type, uint64_t count) {
    return text("k") + number(uint32_t{9}) + number(type) + number(count);
  };
  const std::string zeros(4096, '\0');
  const int64_t big = int64_t{1} << 31;
  const std::pair<const char*, std::string> attacks[] = {
      {"tensor count", head(~0ull, 0) + zeros},
      {"tensor count times entry size wraps", head((1ull << 59) + 1, 0) + zeros},
      {"key count", head(0, 1ull << 60) + zeros},
      {"string length", head(0, 1) + number(~0ull) + zeros},
      {"string length wraps the position", head(0, 1) + number(~0ull - 20) + zeros},
      {"array of numbers", head(0, 1) + array(10, 1ull << 61) + zeros},
      {"array of strings", head(0, 1) + array(8, 1ull << 60) + zeros},
      {"array of arrays", head(0, 1) + array(9, 1ull << 60) + zeros},
      {"array type", head(0, 1) + array(0x80000000u, 4) + zeros},
      {"elements wrap to a small size", head(1, 0) + tensor("t", {big, big, 4, 1}, 0, 0) + zeros},
      {"bytes wrap", head(1, 0) + tensor("t", {int64_t{1} << 62, 1}, 0, 0) + zeros},
      {"padded size wraps", head(1, 0) + tensor("t", {(int64_t{1} << 61) - 1}, 0, 0) + zeros},
      {"offset wraps", head(1, 0) + tensor("t", {8}, 0, ~31ull) + zeros},
      {"larger than the file", head(1, 0) + tensor("t", {1 << 20, 1 << 20}, 2, 0) + zeros},
      {"negative dimension", head(1, 0) + tensor("t", {-32, 2}, 0, 0) + zeros},
      {"two negative dimensions", head(1, 0) + tensor("t", {-32, -2}, 0, 0) + zeros},
      {"negative type", head(1, 0) + tensor("t", {32}, 0xffffffffu, 0) + zeros},
      {"removed type", head(1, 0) + tensor("t", {32}, 4, 0) + zeros},
      {"dimensions", head(1, 0) + text("t") + number(0x7fffffffu) + zeros},
      {"alignment zero", head(0, 1) + text("general.alignment") + number(4u) + number(0u) + zeros},
      {"alignment three", head(0, 1) + text("general.alignment") + number(4u) + number(3u)},
      {"alignment beyond the file", head(1, 1) + text("general.alignment") + number(4u) +
                                        number(0x80000000u) + tensor("t", {8}, 0, 0) + zeros},
      {"same key twice", head(0, 2) + text("k") + number(4u) + number(1u) + text("k") + number(4u) +
                             number(2u) + zeros},
      {"same tensor twice", head(2, 0) + tensor("t", {8}, 0, 0) + tensor("t", {8}, 0, 32) + zeros},
      {"same bytes twice", head(2, 0) + tensor("a", {8}, 0, 0) + tensor("b", {8}, 0, 0) + zeros},
  };
  for (const auto& [name, content] : attacks) {
    EXPECT_FALSE(accepted(content)) << name;
    testing::write_text(path, content);
    expect_clean_end(run_crossval({"inspect", path}), false, name);
    expect_clean_end(run_native(path, false), false, name);
  }
}

// Well-formed files whose numbers no model can have: refused, or run where they do no harm.
TEST(GgufDamage, hyperparameters_that_cannot_be) {
  const Sample sample;
  const std::string path = sample.folder.file("odd.gguf");
  const auto model = ModelFile::open(sample.path);
  for (const auto& [key, value] : model->metadata()) {
    const auto type = static_cast<GgufType>(value.gguf_type);
    std::vector<std::function<void(GgufWriter&)>> changes;
    if (type == GgufType::u32) {
      for (const uint32_t n : {0u, 1u, 3u, 5000u, 0x7fffffffu, 0xffffffffu}) {
        changes.push_back([&key = key, n](GgufWriter& out) { out.set_u32(key, n); });
      }
    } else if (type == GgufType::f32) {
      for (const float x : {0.0f, -1.0f, 1e30f, std::numeric_limits<float>::quiet_NaN(),
                            std::numeric_limits<float>::infinity()}) {
        changes.push_back([&key = key, x](GgufWriter& out) { out.set_f32(key, x); });
      }
    }
    changes.push_back([&key = key](GgufWriter& out) { out.set_string(key, "\xff{%"); });
    changes.push_back([&key = key](GgufWriter& out) { out.set_i32_array(key, {}); });
    changes.push_back([&key = key](GgufWriter& out) { out.remove(key); });
    for (size_t i = 0; i < changes.size(); ++i) {
      testing::ModelEdit edit(sample.path);
      changes[i](edit.metadata());
      edit.write(path);
      expect_clean_end(run_native(path, true), true, key + ", change " + std::to_string(i));
    }
  }
}

}  // namespace
}  // namespace crossval
