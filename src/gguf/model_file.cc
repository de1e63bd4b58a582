#include "gguf/model_file.h"

#include <fmt/format.h>
#include <algorithm>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/mapped_file.h"
#include "base/printable.h"
#include "gguf/file_pieces.h"
#include "gguf/reader.h"

namespace crossval {
namespace {

constexpr int64_t kMaxParts = 4096;

// "dir/name-00001-of-00003.gguf" -> the same with another number; empty when the path does not
// end that way (llama.cpp src/llama-model-loader.cpp, llama_split_path).
std::string sibling_part(const std::string& path, int64_t index, int64_t count) {
  const std::string own_tail = fmt::format("-of-{:05}.gguf", count);
  constexpr size_t digits = 5;
  if (!path.ends_with(own_tail) || path.size() < own_tail.size() + digits + 1) return "";
  const size_t at = path.size() - own_tail.size() - digits;
  if (path[at - 1] != '-' || path.find_first_not_of("0123456789", at) != at + digits) return "";
  return fmt::format("{}{:05}{}", path.substr(0, at), index + 1, own_tail);
}

std::optional<int64_t> part_int(const GgufPart& part, const std::string& path,
                                std::string_view key) {
  const auto it = part.metadata.find(key);
  if (it == part.metadata.end()) return std::nullopt;
  if (const auto* u = std::get_if<uint64_t>(&it->second.value); u && *u <= INT32_MAX) {
    return static_cast<int64_t>(*u);
  }
  if (const auto* i = std::get_if<int64_t>(&it->second.value); i && *i >= 0) return *i;
  bad_input("damaged_file", "the split information is not a count",
            fmt::format("{}: metadata key '{}'", path, key), "split or download the model again");
}

[[noreturn]] void wrong_kind(const std::string& path, std::string_view key, const MetaValue& value,
                             const char* wanted) {
  const bool is_array = value.gguf_type == static_cast<uint32_t>(GgufType::array);
  bad_input("wrong_metadata_type",
            fmt::format("the value is {}{}, {} is needed", is_array ? "an array of " : "of type ",
                        gguf_type_name(is_array ? value.element_type : value.gguf_type), wanted),
            fmt::format("{}: metadata key '{}'", path, printable(key)),
            "convert the model again with a current converter");
}

// Of a list with a value for each layer: the one that all have.
template <typename T>
std::optional<T> only_value(const std::vector<T>& list) {
  const bool is_one = !list.empty() && std::ranges::all_of(list, [&](const T& value) {
    return value == list.front();
  });
  return is_one ? std::optional(list.front()) : std::nullopt;
}

}  // namespace

int64_t TensorView::n_elements() const {
  int64_t n = 1;
  for (const int64_t dim : shape) n *= dim;  // fits: the reader has checked the byte size
  return n;
}

std::shared_ptr<const ModelFile> ModelFile::open(const std::string& path,
                                                 const std::string& i2_s_layout) {
  std::optional<I2sLayout> forced;
  if (i2_s_layout != "auto") {
    const I2sLayoutInfo* info = find_i2_s_layout(i2_s_layout);
    if (info == nullptr) {
      bad_input("unknown_layout", fmt::format("'{}' is no layout of I2_S", printable(i2_s_layout)),
                "--i2s-layout", "write auto, x86, arm, rows4, bitnet32, bitnet32-split or qk256");
    }
    forced = info->layout;
  }
  auto model = std::make_shared<ModelFile>();
  model->path_ = path;
  int64_t n_parts = 1;
  bool by_size = true;
  std::optional<int64_t> n_tensors_in_all;
  for (int64_t index = 0; index < n_parts; ++index) {
    const std::string part_path = index == 0 ? path : sibling_part(path, index, n_parts);
    std::shared_ptr<MappedFile> file;
    try {
      file = std::make_shared<MappedFile>(part_path, "model file");
    } catch (const Error& error) {
      if (index == 0 || error.code != "missing_file") throw;
      bad_input("missing_part",
                fmt::format("part {} of {} of the split model is missing", index + 1, n_parts),
                part_path, "download the missing part into the same folder");
    }
    GgufPart part = read_whole_part(part_path, file->bytes(), forced);

    const int64_t count = part_int(part, part_path, "split.count").value_or(1);
    const int64_t number = part_int(part, part_path, "split.no").value_or(0);
    if (index == 0 && count > 1) {
      refuse_joined_parts(part_path, part, file->bytes());
      if (count > kMaxParts) {
        bad_input("damaged_file", fmt::format("a model split into {} parts", count), part_path,
                  "split or download the model again");
      }
      if (number != 0) {
        const std::string first = sibling_part(path, 0, count);
        bad_input("not_first_part",
                  fmt::format("this is part {} of {} of a split model", number + 1, count),
                  part_path,
                  first.empty() ? "name its first part" : "name its first part: " + first);
      }
      if (sibling_part(path, 0, count) != path) {
        bad_input("missing_part",
                  fmt::format("the model is split into {} parts, but the name of this one does not "
                              "say where the others are",
                              count),
                  part_path,
                  fmt::format("rename the parts to NAME-00001-of-{:05}.gguf and so on", count));
      }
      n_parts = count;
      n_tensors_in_all = part_int(part, part_path, "split.tensors.count");
    } else if (n_parts > 1 && (count != n_parts || number != index)) {
      bad_input("damaged_file",
                fmt::format("the file says it is part {} of {}, expected part {} of {}", number + 1,
                            count, index + 1, n_parts),
                part_path, "download the parts again, all from one place");
    }

    by_size = by_size && part.i2_s_by_size;
    if (index == 0) {
      model->version_ = part.version;
      model->metadata_ = std::move(part.metadata);
    }
    for (TensorView& tensor : part.tensors) {
      tensor.part = static_cast<int>(index);
      if (!model->tensor_index_.emplace(tensor.name, model->tensors_.size()).second) {
        bad_input("damaged_file",
                  fmt::format("the tensor '{}' is in an earlier part too", printable(tensor.name)),
                  part_path, "download the parts again, all from one place");
      }
      model->tensors_.push_back(std::move(tensor));
    }
    model->size_bytes_ += static_cast<int64_t>(file->bytes().size());
    model->parts_.push_back(part_path);
    model->mappings_.push_back(std::move(file));
  }
  const auto n_tensors = static_cast<int64_t>(model->tensors_.size());
  if (n_tensors_in_all.value_or(n_tensors) != n_tensors) {
    bad_input("damaged_file",
              fmt::format("the parts hold {} tensors, the first one promises {}", n_tensors,
                          *n_tensors_in_all),
              path, "download the parts again, all from one place");
  }
  model->settle_tl();
  model->settle_i2_s(forced ? LayoutBy::flag : by_size ? LayoutBy::size : LayoutBy::nobody);
  return model;
}

std::shared_ptr<const ModelFile> ModelFile::with_tensors_of(
    const ModelFile& other, std::span<const std::string> names) const {
  auto mixed = std::make_shared<ModelFile>(*this);
  mixed->mappings_.insert(mixed->mappings_.end(), other.mappings_.begin(), other.mappings_.end());
  for (const std::string& name : names) {
    const auto ours = tensor_index_.find(name);
    const TensorView* theirs = other.find_tensor(name);
    if (ours == tensor_index_.end() || theirs == nullptr) continue;
    TensorView& tensor = mixed->tensors_[ours->second];
    if (tensor.shape == theirs->shape) tensor = *theirs;
  }
  return mixed;
}

const TensorView* ModelFile::find_tensor(std::string_view name) const {
  const auto it = tensor_index_.find(name);
  return it == tensor_index_.end() ? nullptr : &tensors_[it->second];
}

const MetaValue* ModelFile::find(std::string_view key) const {
  const auto it = metadata_.find(key);
  return it == metadata_.end() ? nullptr : &it->second;
}

bool ModelFile::is_hyperparameter(std::string_view key) const {
  const MetaValue* value = find("general.architecture");
  const auto* arch = value == nullptr ? nullptr : std::get_if<std::string_view>(&value->value);
  return arch != nullptr && key.size() > arch->size() && key.starts_with(*arch) &&
         key[arch->size()] == '.';
}

std::optional<int64_t> ModelFile::get_int(std::string_view key) const {
  const MetaValue* found = find(key);
  if (found == nullptr) return std::nullopt;
  if (const auto* i = std::get_if<int64_t>(&found->value)) return *i;
  const auto* list = std::get_if<std::vector<int64_t>>(&found->value);
  if (list != nullptr && is_hyperparameter(key)) return only_value(*list);
  const auto* u = std::get_if<uint64_t>(&found->value);
  const bool is_array = found->gguf_type == static_cast<uint32_t>(GgufType::array);
  if (u == nullptr || is_array || *u > static_cast<uint64_t>(INT64_MAX)) {
    wrong_kind(path_, key, *found, "an integer");
  }
  return static_cast<int64_t>(*u);
}

std::optional<double> ModelFile::get_float(std::string_view key) const {
  const MetaValue* found = find(key);
  if (found == nullptr) return std::nullopt;
  const auto* list = std::get_if<std::vector<double>>(&found->value);
  if (list != nullptr && is_hyperparameter(key)) return only_value(*list);
  const auto* value = std::get_if<double>(&found->value);
  if (value == nullptr) wrong_kind(path_, key, *found, "a float");
  return *value;
}

std::optional<bool> ModelFile::get_bool(std::string_view key) const {
  const MetaValue* found = find(key);
  if (found == nullptr) return std::nullopt;
  const auto* value = std::get_if<bool>(&found->value);
  if (value == nullptr) wrong_kind(path_, key, *found, "a bool");
  return *value;
}

std::optional<std::string> ModelFile::get_string(std::string_view key) const {
  const MetaValue* found = find(key);
  if (found == nullptr) return std::nullopt;
  const auto* value = std::get_if<std::string_view>(&found->value);
  if (value == nullptr) wrong_kind(path_, key, *found, "a string");
  return std::string(*value);
}

std::string ModelFile::architecture() const {
  auto name = get_string("general.architecture");
  if (!name) {
    bad_input("missing_metadata", "the model does not say its architecture",
              path_ + ": metadata key 'general.architecture'",
              "convert the model again with a current converter");
  }
  return *name;
}

namespace {

struct FileType {
  int64_t value;
  std::string_view name;
  std::string_view family;  // a type of its weights begins so; else the key is not to be believed
};

// general.file_type (llama.cpp include/llama.h: llama_ftype; 40 is bitnet.cpp's).
constexpr FileType kFileTypes[] = {
    {0, "F32", "F32"},        {1, "F16", "F16"},        {2, "Q4_0", "Q4_0"},
    {3, "Q4_1", "Q4_1"},      {7, "Q8_0", "Q8_0"},      {8, "Q5_0", "Q5_0"},
    {9, "Q5_1", "Q5_1"},      {10, "Q2_K", "Q2_K"},     {11, "Q3_K_S", "Q3_K"},
    {12, "Q3_K_M", "Q3_K"},   {13, "Q3_K_L", "Q3_K"},   {14, "Q4_K_S", "Q4_K"},
    {15, "Q4_K_M", "Q4_K"},   {16, "Q5_K_S", "Q5_K"},   {17, "Q5_K_M", "Q5_K"},
    {18, "Q6_K", "Q6_K"},     {19, "IQ2_XXS", "IQ2"},   {20, "IQ2_XS", "IQ2"},
    {21, "Q2_K_S", "Q2_K"},   {22, "IQ3_XS", "IQ3"},    {23, "IQ3_XXS", "IQ3"},
    {24, "IQ1_S", "IQ1"},     {25, "IQ4_NL", "IQ4_NL"}, {26, "IQ3_S", "IQ3"},
    {27, "IQ3_M", "IQ3"},     {28, "IQ2_S", "IQ2"},     {29, "IQ2_M", "IQ2"},
    {30, "IQ4_XS", "IQ4_XS"}, {31, "IQ1_M", "IQ1"},     {32, "BF16", "BF16"},
    {36, "TQ1_0", "TQ1_0"},   {37, "TQ2_0", "TQ2_0"},   {40, "I2_S", "I2_S"},
};

}  // namespace

// Quantisers of a mix of types say which in the file type; where most weights are of another type
// than the file's name promises (a small model with a large embedding), the name is still it.
std::string ModelFile::quantization() const {
  const int64_t file_type = get_int("general.file_type").value_or(-1) % 1024;  // 1024: guessed
  for (const FileType& known : kFileTypes) {
    if (known.value != file_type) continue;
    const bool is_so = std::any_of(tensors_.begin(), tensors_.end(), [&](const TensorView& tensor) {
      return type_name(tensor.type).starts_with(known.family);
    });
    if (is_so) return std::string(known.name);
  }
  std::map<GgmlType, int64_t> weights;
  for (const TensorView& tensor : tensors_) weights[tensor.type] += tensor.n_elements();
  const std::pair<const GgmlType, int64_t>* most = nullptr;
  for (const auto& entry : weights) {
    if (most == nullptr || entry.second > most->second) most = &entry;
  }
  return most == nullptr ? "" : std::string(type_name(most->first));
}

int64_t ModelFile::n_params() const {
  int64_t n = 0;
  for (const TensorView& tensor : tensors_) n += tensor.n_elements();
  return n;
}

}  // namespace crossval
