#include "checkpoint/safetensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/bytes.h"
#include "base/error.h"
#include "base/json_depth.h"
#include "base/printable.h"

namespace crossval {
namespace {

using Json = nlohmann::json;

// Bytes of one element (safetensors `Dtype`, those of whole bytes); 0 for an unknown name.
int64_t dtype_bytes(std::string_view dtype) {
  static constexpr std::pair<std::string_view, int64_t> sizes[] = {
      {"F64", 8}, {"I64", 8}, {"U64", 8},  {"F32", 4},     {"I32", 4},
      {"U32", 4}, {"F16", 2}, {"BF16", 2}, {"I16", 2},     {"U16", 2},
      {"I8", 1},  {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (const auto& [name, size] : sizes) {
    if (name == dtype) return size;
  }
  return 0;
}

// A JSON array of non-negative integers; nullopt for anything else.
std::optional<std::vector<int64_t>> counts(const Json& json) {
  if (!json.is_array()) return std::nullopt;
  std::vector<int64_t> values;
  for (const Json& item : json) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > uint64_t{INT64_MAX}) {
      return std::nullopt;
    }
    values.push_back(item.get<int64_t>());
  }
  return values;
}

// One file being read.
class Reader {
 public:
  Reader(std::span<const std::byte> file, const std::string& path, const SafetensorsWords& words)
      : file_(file), path_(path), words_(words) {}

  SafetensorsHeader read();

 private:
  [[noreturn]] void damaged(std::string what, const std::string& at) const {
    bad_input(words_.damaged_code, std::move(what), at.empty() ? path_ : path_ + ": " + at,
              words_.damaged_fix);
  }
  [[noreturn]] void foreign(std::string what) const {
    bad_input(words_.foreign_code, std::move(what), path_, words_.foreign_fix);
  }
  Json parse(std::span<const std::byte>& data) const;
  void read_metadata(const Json& entry, const std::string& at);
  void read_entry(const std::string& name, const Json& entry, const std::string& at,
                  std::span<const std::byte> data);
  void check_layout(uint64_t n_data_bytes) const;

  std::span<const std::byte> file_;
  const std::string& path_;
  const SafetensorsWords& words_;
  SafetensorsHeader out_;
};

Json Reader::parse(std::span<const std::byte>& data) const {
  ByteReader in(file_);
  const auto length = in.read<uint64_t>();
  if (!length) foreign("this is not a safetensors file: it is too short");
  if (*length > in.remaining() || *length > words_.max_header_bytes) {
    foreign(
        fmt::format("this is not a safetensors file: its header would be {} bytes in a file of "
                    "{}",
                    *length, in.size()));
  }
  const std::string_view text = *in.take_text(*length);
  if (nests_too_deep(text)) {
    foreign("its header is nested too deep to be a safetensors file's");
  }
  Json header = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!header.is_object()) {
    foreign("this is not a safetensors file: its header is not a JSON object");
  }
  data = *in.take(in.remaining());
  return header;
}

void Reader::read_metadata(const Json& entry, const std::string& at) {
  if (!entry.is_object()) damaged("the metadata is not an object", at);
  for (const auto& [key, value] : entry.items()) {
    if (!value.is_string()) damaged("a metadata value is not a string", at);
    out_.metadata[key] = value.get<std::string>();
  }
}

void Reader::read_entry(const std::string& name, const Json& entry, const std::string& at,
                        std::span<const std::byte> data) {
  const auto field = [&entry](const char* key) {
    return entry.is_object() && entry.contains(key) ? entry[key] : Json();
  };
  const Json dtype = field("dtype");
  auto shape = counts(field("shape"));
  const auto offsets = counts(field("data_offsets"));
  if (!dtype.is_string() || !shape || !offsets || offsets->size() != 2) {
    damaged("dtype, shape and data_offsets are not what safetensors prescribes", at);
  }
  const auto type = dtype.get<std::string>();
  const auto begin = static_cast<uint64_t>((*offsets)[0]);
  const auto end = static_cast<uint64_t>((*offsets)[1]);
  const std::string tensor = "tensor " + at;
  std::optional<int64_t> bytes = dtype_bytes(type);
  if (*bytes == 0) damaged(fmt::format("its dtype '{}' is unknown", printable(type)), tensor);
  for (const int64_t dim : *shape) {
    if (bytes) bytes = checked_mul(*bytes, dim);
  }
  if (!bytes) damaged("its shape is too large to exist", tensor);
  if (begin > end || end > data.size() || end - begin != static_cast<uint64_t>(*bytes)) {
    damaged(fmt::format("it claims bytes {} to {} of {}, its shape needs {}", begin, end,
                        data.size(), *bytes),
            tensor);
  }
  out_.tensors[name] = {name, type, std::move(*shape), data.subspan(begin, end - begin)};
}

// As safetensors itself: the tensors fill the data without a hole or an overlap.
void Reader::check_layout(uint64_t n_data_bytes) const {
  std::vector<const SafetensorsTensor*> order;
  for (const auto& [name, tensor] : out_.tensors) {
    if (!tensor.data.empty()) order.push_back(&tensor);
  }
  std::ranges::sort(order, {}, [](const SafetensorsTensor* tensor) { return tensor->data.data(); });
  const std::byte* expected = file_.data() + (file_.size() - n_data_bytes);
  for (const SafetensorsTensor* tensor : order) {
    if (tensor->data.data() != expected) {
      damaged("it overlaps another, or there is a hole before it",
              fmt::format("tensor '{}'", printable(tensor->name)));
    }
    expected += tensor->data.size();
  }
  if (expected != file_.data() + file_.size()) {
    damaged("the file is longer than its tensors", "");
  }
}

SafetensorsHeader Reader::read() {
  std::span<const std::byte> data;
  const Json header = parse(data);
  for (const auto& [name, entry] : header.items()) {
    const std::string at = fmt::format("'{}'", printable(name));
    if (name == "__metadata__") {
      read_metadata(entry, at);
    } else {
      read_entry(name, entry, at, data);
    }
  }
  check_layout(data.size());
  return std::move(out_);
}

}  // namespace

std::optional<GgmlType> SafetensorsTensor::float_type() const {
  if (dtype == "F32") return GgmlType::F32;
  if (dtype == "F16") return GgmlType::F16;
  if (dtype == "BF16") return GgmlType::BF16;
  return std::nullopt;
}

int64_t SafetensorsTensor::n_elements() const {
  int64_t n = 1;
  for (const int64_t dim : shape) n *= dim;  // checked when it was read
  return n;
}

SafetensorsHeader read_safetensors(std::span<const std::byte> file, const std::string& path,
                                   const SafetensorsWords& words) {
  return Reader(file, path, words).read();
}

}  // namespace crossval
