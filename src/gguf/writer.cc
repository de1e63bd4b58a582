#include "gguf/writer.h"

#include <bit>
#include <cassert>

#include "base/atomic_file.h"
#include "gguf/reader.h"

namespace crossval {
namespace {

template <typename T>
void append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void append_type(std::string& out, GgufType type) { append(out, static_cast<uint32_t>(type)); }

void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<uint64_t>(text.size()));
  out += text;
}

template <typename T>
std::string stored(GgufType type, T value) {
  std::string out;
  append_type(out, type);
  append(out, value);
  return out;
}

template <typename T>
std::string stored_array(GgufType type, std::span<const T> values) {
  std::string out;
  append_type(out, GgufType::array);
  append_type(out, type);
  append(out, static_cast<uint64_t>(values.size()));
  out.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  return out;
}

uint64_t padded(uint64_t size, uint64_t alignment) {
  return (size + alignment - 1) & ~(alignment - 1);
}

}  // namespace

void GgufWriter::set_version(int version) {
  assert(version == 2 || version == 3);
  version_ = version;
}

void GgufWriter::set_alignment(uint32_t n_bytes) {
  assert(n_bytes >= 8 && std::has_single_bit(n_bytes));
  alignment_ = n_bytes;
}

void GgufWriter::set_u32(const std::string& key, uint32_t value) {
  metadata_[key] = stored(GgufType::u32, value);
}
void GgufWriter::set_i32(const std::string& key, int32_t value) {
  metadata_[key] = stored(GgufType::i32, value);
}
void GgufWriter::set_u64(const std::string& key, uint64_t value) {
  metadata_[key] = stored(GgufType::u64, value);
}
void GgufWriter::set_f32(const std::string& key, float value) {
  metadata_[key] = stored(GgufType::f32, value);
}
void GgufWriter::set_bool(const std::string& key, bool value) {
  metadata_[key] = stored(GgufType::boolean, static_cast<uint8_t>(value));
}

void GgufWriter::set_string(const std::string& key, std::string_view value) {
  std::string out;
  append_type(out, GgufType::string);
  append_text(out, value);
  metadata_[key] = std::move(out);
}

void GgufWriter::set_u8_array(const std::string& key, std::span<const uint8_t> values) {
  metadata_[key] = stored_array(GgufType::u8, values);
}
void GgufWriter::set_i32_array(const std::string& key, std::span<const int32_t> values) {
  metadata_[key] = stored_array(GgufType::i32, values);
}
void GgufWriter::set_u64_array(const std::string& key, std::span<const uint64_t> values) {
  metadata_[key] = stored_array(GgufType::u64, values);
}
void GgufWriter::set_f32_array(const std::string& key, std::span<const float> values) {
  metadata_[key] = stored_array(GgufType::f32, values);
}

void GgufWriter::set_string_array(const std::string& key, std::span<const std::string> values) {
  std::string out;
  append_type(out, GgufType::array);
  append_type(out, GgufType::string);
  append(out, static_cast<uint64_t>(values.size()));
  for (const std::string& value : values) append_text(out, value);
  metadata_[key] = std::move(out);
}

void GgufWriter::copy(const std::string& key, const MetaValue& value) {
  std::string out;
  append(out, value.gguf_type);
  out.append(reinterpret_cast<const char*>(value.raw.data()), value.raw.size());
  metadata_[key] = std::move(out);
}

void GgufWriter::add_tensor(const std::string& name, GgmlType type, std::vector<int64_t> shape,
                            std::span<const std::byte> bytes) {
  assert(static_cast<int64_t>(bytes.size()) == tensor_bytes(type, shape));
  tensors_.push_back({name, type, std::move(shape), bytes, nullptr, nullptr});
}

void GgufWriter::add_tensor(const std::string& name, GgmlType type, std::vector<int64_t> shape,
                            Fill fill) {
  assert(tensor_bytes(type, shape).has_value());
  tensors_.push_back({name, type, std::move(shape), {}, std::move(fill), nullptr});
}

void GgufWriter::add_tensor(const std::string& name, GgmlType type, std::vector<int64_t> shape,
                            Stream stream) {
  assert(tensor_bytes(type, shape).has_value());
  tensors_.push_back({name, type, std::move(shape), {}, nullptr, std::move(stream)});
}

uint64_t GgufWriter::file_bytes() const {
  uint64_t n = padded(header().size(), alignment_);
  for (const Tensor& tensor : tensors_) {
    n += padded(static_cast<uint64_t>(*tensor_bytes(tensor.type, tensor.shape)), alignment_);
  }
  return n;
}

std::string GgufWriter::header() const {
  auto metadata = metadata_;
  metadata.erase("general.alignment");
  if (alignment_ != 32) metadata["general.alignment"] = stored(GgufType::u32, alignment_);
  std::string out = "GGUF";
  append(out, static_cast<uint32_t>(version_));
  append(out, static_cast<uint64_t>(tensors_.size()));
  append(out, static_cast<uint64_t>(metadata.size()));
  for (const auto& [key, value] : metadata) {
    append_text(out, key);
    out += value;
  }
  uint64_t offset = 0;
  for (const Tensor& tensor : tensors_) {
    append_text(out, tensor.name);
    append(out, static_cast<uint32_t>(tensor.shape.size()));
    for (const int64_t dim : tensor.shape) append(out, dim);
    append(out, static_cast<uint32_t>(tensor.type));
    append(out, offset);
    offset += padded(static_cast<uint64_t>(*tensor_bytes(tensor.type, tensor.shape)), alignment_);
  }
  return out;
}

void GgufWriter::write(const std::string& path) const {
  AtomicFile file(path);
  const std::string zeros(alignment_, '\0');
  const auto pad = [&] {
    const uint64_t n = file.n_written();
    file.write(std::string_view(zeros).substr(0, padded(n, alignment_) - n));
  };
  file.write(header());
  pad();
  for (const Tensor& tensor : tensors_) {
    const uint64_t start = file.n_written();
    if (tensor.stream) {
      tensor.stream([&](std::span<const std::byte> piece) { file.write(piece); });
    } else {
      file.write(tensor.fill ? std::span<const std::byte>(tensor.fill()) : tensor.bytes);
    }
    [[maybe_unused]] const auto n = static_cast<int64_t>(file.n_written() - start);
    assert(n == tensor_bytes(tensor.type, tensor.shape));
    pad();
  }
  file.commit();
}

}  // namespace crossval
