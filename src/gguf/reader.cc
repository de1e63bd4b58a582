#include "gguf/reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <set>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "base/printable.h"
#include "gguf/not_a_gguf.h"
#include "gguf/place_tensors.h"

namespace crossval {
namespace {

// Far above any real model (the largest have a few thousand tensors, a million vocabulary
// entries); they bound what a hostile file can make us allocate for each of its bytes.
constexpr uint64_t kMaxTensors = 1 << 18;
constexpr uint64_t kMaxKeys = 1 << 16;
constexpr uint64_t kMaxArrayElements = 1 << 25;  // all arrays of the file together
constexpr uint64_t kMaxKeyBytes = 65535;         // docs/gguf.md
constexpr uint64_t kMaxNameBytes = 255;          // ggml itself: 63
constexpr int kMaxArrayDepth = 4;
constexpr uint32_t kMaxDims = 4;  // GGML_MAX_DIMS

// The least bytes one entry of the header can take: bounds counts by what is left in the file.
constexpr uint64_t kMinKeyEntryBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kMinTensorEntryBytes = 8 + 1 + 4 + 8 + 4 + 8;

const char* const kDownloadAgain =
    "the file is damaged or incomplete: download it again and compare its size and sha256 with "
    "the publisher's";
const char* const kConvertAgain = "convert the model again with a current converter";

// Bytes of one value of a fixed-width type; 0 for strings, arrays and unknown ids.
uint64_t fixed_width(uint32_t type) {
  switch (static_cast<GgufType>(type)) {
    case GgufType::u8:
    case GgufType::i8:
    case GgufType::boolean:
      return 1;
    case GgufType::u16:
    case GgufType::i16:
      return 2;
    case GgufType::u32:
    case GgufType::i32:
    case GgufType::f32:
      return 4;
    case GgufType::u64:
    case GgufType::i64:
    case GgufType::f64:
      return 8;
    case GgufType::string:
    case GgufType::array:
      return 0;
  }
  return 0;
}

class PartReader {
 public:
  PartReader(const std::string& path, std::span<const std::byte> file,
             std::optional<I2sLayout> forced)
      : path_(path), file_(file), in_(file), forced_(forced) {}

  GgufPart read() {
    read_header();
    for (uint64_t i = 0; i < n_keys_; ++i) read_key(i);
    read_alignment();
    std::vector<uint64_t> offsets;
    offsets.reserve(n_tensors_);
    part_.tensors.reserve(n_tensors_);
    for (uint64_t i = 0; i < n_tensors_; ++i) offsets.push_back(read_tensor_entry(i));
    const uint64_t mask = part_.alignment - 1;
    part_.data_offset = (in_.position() + mask) & ~mask;
    place_tensors(part_, offsets, path_, file_, forced_);
    return std::move(part_);
  }

 private:
  [[noreturn]] void fail(const char* code, std::string what, const std::string& at,
                         const char* fix) const {
    bad_input(code, std::move(what), fmt::format("{}: {}", path_, at), fix);
  }

  [[noreturn]] void truncated(const std::string& at, uint64_t needed) const {
    fail("truncated_file",
         fmt::format("the file ends at byte {} but {} more bytes are needed at byte {}",
                     file_.size(), needed, in_.position()),
         at, kDownloadAgain);
  }

  template <typename T>
  T number(const std::string& at) {
    const auto value = in_.read<T>();
    if (!value) truncated(at, sizeof(T));
    return *value;
  }

  std::string_view text(const std::string& at) {
    const uint64_t begin = in_.position();
    const auto length = number<uint64_t>(at);
    const auto view = in_.take_text(length);
    if (!view) {
      fail("damaged_file",
           fmt::format("a string at byte {} claims {} bytes, the file has {} left", begin, length,
                       in_.remaining()),
           at, kDownloadAgain);
    }
    return *view;
  }

  void read_header() {
    const auto magic = in_.take_text(4);
    if (!magic || *magic != "GGUF") {
      const OtherFile other = describe_other_file(file_);
      fail("not_a_gguf", other.what, "byte 0", other.fix.c_str());
    }
    const auto version = number<uint32_t>("version");
    if ((version & 0xffff) == 0 && version != 0) {
      fail("unsupported_version",
           fmt::format("the file is big-endian (version {} byte-swapped)",
                       __builtin_bswap32(version)),
           "byte 4", "get the little-endian file, or convert it with gguf_convert_endian.py");
    }
    if (version == 1) {
      fail("unsupported_version", "GGUF version 1 is no longer read by any engine", "byte 4",
           kConvertAgain);
    }
    if (version != 2 && version != 3) {
      fail("unsupported_version",
           fmt::format("GGUF version {} is unknown; versions 2 and 3 are read", version), "byte 4",
           "get a version 3 file; if the number looks absurd the file is damaged");
    }
    part_.version = static_cast<int>(version);
    n_tensors_ = number<uint64_t>("tensor count");
    n_keys_ = number<uint64_t>("metadata count");
    check_count(n_tensors_, kMaxTensors, kMinTensorEntryBytes, "tensors", "tensor count");
    check_count(n_keys_, kMaxKeys, kMinKeyEntryBytes, "metadata keys", "metadata count");
  }

  void check_count(uint64_t count, uint64_t limit, uint64_t min_bytes, const char* things,
                   const std::string& at) const {
    if (count > in_.remaining() / min_bytes) {
      fail("damaged_file",
           fmt::format("the file claims {} {}, but its {} bytes cannot hold that many", count,
                       things, file_.size()),
           at, kDownloadAgain);
    }
    if (count > limit) {
      fail("damaged_file",
           fmt::format("the file claims {} {}; at most {} are accepted", count, things, limit), at,
           kDownloadAgain);
    }
  }

  void read_key(uint64_t index) {
    const std::string nth = fmt::format("metadata key {} of {}", index + 1, n_keys_);
    const std::string_view key = text(nth);
    if (key.empty() || key.size() > kMaxKeyBytes || key.find('\0') != key.npos) {
      fail("damaged_file",
           fmt::format("the key '{}' is not usable (empty, over {} bytes, or with a NUL in it)",
                       printable(key), kMaxKeyBytes),
           nth, kDownloadAgain);
    }
    const std::string at = fmt::format("metadata key '{}'", printable(key));
    const auto type = number<uint32_t>(at);
    MetaValue value;
    value.gguf_type = type;
    const uint64_t begin = in_.position();
    if (type == static_cast<uint32_t>(GgufType::array)) {
      read_array(value, at);
    } else {
      read_scalar(value, type, at);
    }
    value.raw = in_.since(begin);
    if (!part_.metadata.emplace(std::string(key), std::move(value)).second) {
      fail("damaged_file", fmt::format("the key '{}' appears twice", printable(key)), nth,
           kConvertAgain);
    }
  }

  bool boolean(const std::string& at) {
    const auto byte = number<uint8_t>(at);
    if (byte > 1) {
      fail("damaged_file", fmt::format("a bool holds {} at byte {}", byte, in_.position() - 1), at,
           kDownloadAgain);
    }
    return byte == 1;
  }

  void read_scalar(MetaValue& value, uint32_t type, const std::string& at) {
    switch (static_cast<GgufType>(type)) {
      case GgufType::u8:
        value.value = uint64_t{number<uint8_t>(at)};
        return;
      case GgufType::i8:
        value.value = int64_t{number<int8_t>(at)};
        return;
      case GgufType::u16:
        value.value = uint64_t{number<uint16_t>(at)};
        return;
      case GgufType::i16:
        value.value = int64_t{number<int16_t>(at)};
        return;
      case GgufType::u32:
        value.value = uint64_t{number<uint32_t>(at)};
        return;
      case GgufType::i32:
        value.value = int64_t{number<int32_t>(at)};
        return;
      case GgufType::u64:
        value.value = number<uint64_t>(at);
        return;
      case GgufType::i64:
        value.value = number<int64_t>(at);
        return;
      case GgufType::f32:
        value.value = double{number<float>(at)};
        return;
      case GgufType::f64:
        value.value = number<double>(at);
        return;
      case GgufType::boolean:
        value.value = boolean(at);
        return;
      case GgufType::string:
        value.value = text(at);
        return;
      case GgufType::array:
        break;
    }
    unknown_value_type(type, at);
  }

  [[noreturn]] void unknown_value_type(uint32_t type, const std::string& at) const {
    fail("damaged_file",
         fmt::format("value type {} at byte {} is not one of GGUF's", type, in_.position() - 4), at,
         kDownloadAgain);
  }

  // The head of an array: element type and count, checked against the file and the limits.
  std::pair<uint32_t, uint64_t> read_array_head(const std::string& at) {
    const auto type = number<uint32_t>(at);
    const bool is_array = type == static_cast<uint32_t>(GgufType::array);
    const bool is_text = type == static_cast<uint32_t>(GgufType::string);
    const uint64_t width = is_array ? 12 : is_text ? 8 : fixed_width(type);
    if (width == 0) unknown_value_type(type, at);
    const auto count = number<uint64_t>(at);
    if (count > in_.remaining() / width) {
      fail("damaged_file",
           fmt::format("an array claims {} elements of type {}, the file has {} bytes left", count,
                       gguf_type_name(type), in_.remaining()),
           at, kDownloadAgain);
    }
    n_array_elements_ += count;
    if (n_array_elements_ > kMaxArrayElements) {
      fail("damaged_file",
           fmt::format("the metadata arrays have more than {} elements", kMaxArrayElements), at,
           kConvertAgain);
    }
    return {type, count};
  }

  template <typename Stored, typename Kept>
  std::vector<Kept> numbers(uint64_t count, const std::string& at) {
    std::vector<Kept> values(count);
    for (Kept& value : values) {
      const auto stored = number<Stored>(at);
      if constexpr (std::is_same_v<Stored, uint64_t>) {
        if (stored > static_cast<uint64_t>(INT64_MAX)) {
          fail("damaged_file", fmt::format("an element of {} is beyond 63 bits", stored), at,
               kDownloadAgain);
        }
      }
      value =
          static_cast<Kept>(stored);  // NOLINT(bugprone-signed-char-misuse): int8 keeps its sign
    }
    return values;
  }

  void read_array(MetaValue& value, const std::string& at) {
    const auto [type, count] = read_array_head(at);
    value.element_type = type;
    switch (static_cast<GgufType>(type)) {
      case GgufType::u8:
        value.value = numbers<uint8_t, int64_t>(count, at);
        return;
      case GgufType::i8:
        value.value = numbers<int8_t, int64_t>(count, at);
        return;
      case GgufType::u16:
        value.value = numbers<uint16_t, int64_t>(count, at);
        return;
      case GgufType::i16:
        value.value = numbers<int16_t, int64_t>(count, at);
        return;
      case GgufType::u32:
        value.value = numbers<uint32_t, int64_t>(count, at);
        return;
      case GgufType::i32:
        value.value = numbers<int32_t, int64_t>(count, at);
        return;
      case GgufType::u64:
        value.value = numbers<uint64_t, int64_t>(count, at);
        return;
      case GgufType::i64:
        value.value = numbers<int64_t, int64_t>(count, at);
        return;
      case GgufType::f32:
        value.value = numbers<float, double>(count, at);
        return;
      case GgufType::f64:
        value.value = numbers<double, double>(count, at);
        return;
      case GgufType::boolean: {
        std::vector<bool> flags(count);
        for (uint64_t i = 0; i < count; ++i) flags[i] = boolean(at);
        value.value = std::move(flags);
        return;
      }
      case GgufType::string: {
        MetaValue::StringArray strings;
        strings.reserve(count);
        for (uint64_t i = 0; i < count; ++i) strings.push_back(text(at));
        value.value = std::move(strings);
        return;
      }
      case GgufType::array:
        for (uint64_t i = 0; i < count; ++i) skip_array(at, 2);
        value.value = count;
        return;
    }
  }

  void skip_array(const std::string& at, int depth) {
    if (depth > kMaxArrayDepth) {
      fail("damaged_file", fmt::format("arrays are nested deeper than {}", kMaxArrayDepth), at,
           kDownloadAgain);
    }
    const auto [type, count] = read_array_head(at);
    if (type == static_cast<uint32_t>(GgufType::array)) {
      for (uint64_t i = 0; i < count; ++i) skip_array(at, depth + 1);
    } else if (type == static_cast<uint32_t>(GgufType::string)) {
      for (uint64_t i = 0; i < count; ++i) text(at);
    } else {
      in_.take(count * fixed_width(type));  // fits: read_array_head has checked it
    }
  }

  void read_alignment() {
    const auto it = part_.metadata.find("general.alignment");
    if (it == part_.metadata.end()) return;
    const auto* value = std::get_if<uint64_t>(&it->second.value);
    const std::string at = "metadata key 'general.alignment'";
    if (value == nullptr || it->second.gguf_type != static_cast<uint32_t>(GgufType::u32)) {
      fail("damaged_file", "the alignment is not a u32", at, kConvertAgain);
    }
    if (*value < 8 || !std::has_single_bit(*value)) {
      fail("damaged_file",
           fmt::format("the alignment {} is not a power of two of at least 8", *value), at,
           kConvertAgain);
    }
    part_.alignment = static_cast<uint32_t>(*value);
  }

  // Name, shape and type of one tensor; returns its offset within the data section, unchecked.
  uint64_t read_tensor_entry(uint64_t index) {
    const std::string nth = fmt::format("tensor {} of {}", index + 1, n_tensors_);
    const std::string_view name = text(nth);
    if (name.empty() || name.size() > kMaxNameBytes || name.find('\0') != name.npos) {
      fail("damaged_file",
           fmt::format("the name '{}' is not usable (empty, over {} bytes, or with a NUL in it)",
                       printable(name), kMaxNameBytes),
           nth, kDownloadAgain);
    }
    if (!names_.insert(name).second) {
      fail("damaged_file", fmt::format("the tensor '{}' appears twice", printable(name)), nth,
           kConvertAgain);
    }
    const std::string at = fmt::format("tensor '{}'", printable(name));
    const auto n_dims = number<uint32_t>(at);
    if (n_dims < 1 || n_dims > kMaxDims) {
      fail("damaged_file",
           fmt::format("it claims {} dimensions; 1 to {} are possible", n_dims, kMaxDims), at,
           kDownloadAgain);
    }
    TensorView tensor;
    tensor.name = name;
    for (uint32_t i = 0; i < n_dims; ++i) {
      tensor.shape.push_back(number<int64_t>(at));
      if (tensor.shape.back() < 0) {
        fail("damaged_file", fmt::format("dimension {} is {}", i, tensor.shape.back()), at,
             kDownloadAgain);
      }
    }
    const auto type = number<uint32_t>(at);
    const TypeInfo* info = find_type(type);
    if (info == nullptr) {
      const std::string_view advice = removed_type_advice(type);
      fail("unknown_type",
           fmt::format("its type id {} is not one this program knows{}{}", type,
                       advice.empty() ? "" : ": ", advice),
           at,
           advice.empty() ? "if a new ggml type, update crossval; else download the model again"
                          : kConvertAgain);
    }
    tensor.type = info->type;
    if (tensor.shape[0] % info->block_len != 0) {
      fail("damaged_file",
           fmt::format("its rows of {} weights are not whole blocks of {} ({})", tensor.shape[0],
                       info->block_len, info->name),
           at, kConvertAgain);
    }
    part_.tensors.push_back(std::move(tensor));
    return number<uint64_t>(at);
  }

  const std::string& path_;
  std::span<const std::byte> file_;
  ByteReader in_;
  std::optional<I2sLayout> forced_;
  GgufPart part_;
  uint64_t n_tensors_ = 0, n_keys_ = 0, n_array_elements_ = 0;
  std::set<std::string_view> names_;
};

}  // namespace

std::string shape_text(std::span<const int64_t> shape) {
  std::string text;
  for (const int64_t dim : shape) text += (text.empty() ? "" : ", ") + std::to_string(dim);
  return text;
}

std::string gguf_type_name(uint32_t id) {
  static constexpr const char* names[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                          "bool", "string", "array", "u64", "i64", "f64"};
  return id < std::size(names) ? names[id] : fmt::format("type {}", id);
}

GgufPart read_gguf_part(const std::string& path, std::span<const std::byte> file,
                        std::optional<I2sLayout> forced) {
  return PartReader(path, file, forced).read();
}

}  // namespace crossval
