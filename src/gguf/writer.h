// Writes a GGUF file from metadata and tensors, whole or not at all. Keys are written in order of
// their names, tensors in the order they were added. Layout: ggml/include/gguf.h of llama.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/model_file.h"

namespace crossval {

class GgufWriter {
 public:
  // Fills a tensor's bytes when its turn to be written comes: only one is in memory at a time.
  using Fill = std::function<std::vector<std::byte>()>;
  // The same piece by piece, for tensors too large for that: hands every piece to `put`.
  using Put = std::function<void(std::span<const std::byte>)>;
  using Stream = std::function<void(const Put& put)>;

  void set_version(int version);         // 2 or 3 (default)
  void set_alignment(uint32_t n_bytes);  // a power of two, at least 8; default 32

  void set_u32(const std::string& key, uint32_t value);
  void set_i32(const std::string& key, int32_t value);
  void set_u64(const std::string& key, uint64_t value);
  void set_f32(const std::string& key, float value);
  void set_bool(const std::string& key, bool value);
  void set_string(const std::string& key, std::string_view value);
  void set_u8_array(const std::string& key, std::span<const uint8_t> values);
  void set_i32_array(const std::string& key, std::span<const int32_t> values);
  void set_u64_array(const std::string& key, std::span<const uint64_t> values);
  void set_f32_array(const std::string& key, std::span<const float> values);
  void set_string_array(const std::string& key, std::span<const std::string> values);
  // Any value, exactly as it was stored in another file.
  void copy(const std::string& key, const MetaValue& value);
  void remove(const std::string& key) { metadata_.erase(key); }

  // `bytes` must live until write(). Its size must be tensor_bytes(type, shape).
  void add_tensor(const std::string& name, GgmlType type, std::vector<int64_t> shape,
                  std::span<const std::byte> bytes);
  void add_tensor(const std::string& name, GgmlType type, std::vector<int64_t> shape, Fill fill);
  void add_tensor(const std::string& name, GgmlType type, std::vector<int64_t> shape,
                  Stream stream);

  // Bytes write() will write.
  uint64_t file_bytes() const;

  // Throws bad_input when the file cannot be written.
  void write(const std::string& path) const;

 private:
  struct Tensor {
    std::string name;
    GgmlType type;
    std::vector<int64_t> shape;
    std::span<const std::byte> bytes;
    Fill fill;      // when set, instead of `bytes`
    Stream stream;  // when set, instead of both
  };
  std::string header() const;

  int version_ = 3;
  uint32_t alignment_ = 32;
  std::map<std::string, std::string> metadata_;  // key -> type and value as stored
  std::vector<Tensor> tensors_;
};

}  // namespace crossval
