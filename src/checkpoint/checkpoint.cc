#include "checkpoint/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "base/json_depth.h"
#include "base/printable.h"

namespace crossval {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kDownload = "download the checkpoint again";
// tokenizer.json of 256k tokens has 35 MB.
constexpr uintmax_t kMaxTextBytes = uintmax_t{256} << 20;
constexpr size_t kMaxParts = 4096;

constexpr SafetensorsWords kWords = {.foreign_code = "not_safetensors",
                                     .foreign_fix = kDownload,
                                     .damaged_code = "damaged_checkpoint",
                                     .damaged_fix = kDownload,
                                     .max_header_bytes = uint64_t{128} << 20};

[[noreturn]] void damaged(std::string what, const std::string& where) {
  bad_input("damaged_checkpoint", std::move(what), where, kDownload);
}

// A name inside the folder, not a path that leads out of it.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name.size() <= 255 && name.front() != '.' &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos &&
         name.ends_with(".safetensors");
}

// Models that see pictures have the part of texts under a name of its own.
json with_text_config(json config) {
  for (const char* key : {"text_config", "llm_config"}) {
    const auto found = config.find(key);
    if (found == config.end() || !found->is_object()) continue;
    const json inner = *found;
    for (const auto& [name, value] : inner.items()) config[name] = value;
  }
  return config;
}

}  // namespace

std::shared_ptr<const Checkpoint> Checkpoint::open(const std::string& folder) {
  return std::make_shared<Checkpoint>(folder);
}

Checkpoint::Checkpoint(const std::string& folder) : path_(folder) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) {
    bad_input("no_checkpoint", "this is not a folder", folder,
              "name the folder that has config.json and *.safetensors");
  }
  config_ = read_json("config.json");
  if (!config_.is_object()) {
    bad_input("no_checkpoint", "the folder has no config.json", folder,
              "name the folder that has config.json and *.safetensors");
  }
  config_ = with_text_config(std::move(config_));
  read_weights();
  join_scales();
}

const SafetensorsTensor* Checkpoint::find(std::string_view name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : &found->second;
}

int64_t Checkpoint::n_bytes() const {
  int64_t n = 0;
  for (const auto& [name, tensor] : tensors_) n += static_cast<int64_t>(tensor.data.size());
  return n;
}

std::optional<std::string> Checkpoint::read_text(const std::string& name) const {
  const fs::path path = fs::path(path_) / name;
  std::error_code error;
  if (!fs::is_regular_file(path, error)) return std::nullopt;
  const uintmax_t size = fs::file_size(path, error);
  if (error || size > kMaxTextBytes) damaged("the file is too large", path.string());
  std::ifstream in(path, std::ios::binary);
  std::string text(size, '\0');
  in.read(text.data(), static_cast<std::streamsize>(size));
  if (!in) damaged("the file cannot be read", path.string());
  return text;
}

json Checkpoint::read_json(const std::string& name) const {
  const std::optional<std::string> text = read_text(name);
  if (!text) return {};
  const std::string where = (fs::path(path_) / name).string();
  if (nests_too_deep(*text)) damaged("it is nested too deep", where);
  json value = json::parse(*text, nullptr, /*allow_exceptions=*/false);
  if (value.is_discarded()) damaged("this is no JSON", where);
  return value;
}

void Checkpoint::read_weights() {
  const json index = read_json(kIndex);
  if (!index.is_null()) return check_index(index);
  std::vector<std::string> names;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename().string();
    if (is_plain_name(name)) names.push_back(name);
  }
  // One file without an index may have any name; of several the usual one counts.
  if (names.size() > 1 && std::ranges::count(names, "model.safetensors") == 1) {
    names = {"model.safetensors"};
  }
  if (names.size() != 1) {
    bad_input("no_checkpoint",
              names.empty() ? "the folder has no weights in safetensors"
                            : fmt::format("{} files of weights, and no index", names.size()),
              path_, "save it again with save_pretrained of transformers");
  }
  open_part(names.front());
}

// fp8 of DeepSeek V3: a factor for each block of 128 rows and columns (weight_block_size).
bool Checkpoint::join_fp8(const SafetensorsTensor& scales, SafetensorsTensor& weights) const {
  if (scales.dtype != "F32" || scales.shape.size() != 2 || weights.shape.size() != 2) return false;
  int64_t rows = 128, cols = 128;
  const auto quantized = config_.find("quantization_config");
  if (quantized != config_.end() && quantized->is_object()) {
    const auto size = quantized->find("weight_block_size");
    const bool is_known = size != quantized->end() && size->is_array() && size->size() == 2 &&
                          (*size)[0].is_number_unsigned() && (*size)[1].is_number_unsigned();
    if (is_known) {
      constexpr int64_t kMost = int64_t{1} << 24;
      rows = std::clamp<int64_t>((*size)[0].get<int64_t>(), 1, kMost);
      cols = std::clamp<int64_t>((*size)[1].get<int64_t>(), 1, kMost);
    }
  }
  const bool fits = scales.shape[0] == (weights.shape[0] + rows - 1) / rows &&
                    scales.shape[1] == (weights.shape[1] + cols - 1) / cols;
  if (!fits) return false;
  weights.scales = scales.data;
  weights.block_rows = rows;
  weights.block_cols = cols;
  return true;
}

// gpt-oss': 16 bytes for 32 weights, and an exponent.
bool Checkpoint::join_mxfp4(const SafetensorsTensor& scales, SafetensorsTensor& blocks) const {
  std::vector<int64_t> shape = scales.shape;
  shape.push_back(16);
  if (scales.dtype != "U8" || blocks.dtype != "U8" || scales.shape.empty() ||
      blocks.shape != shape || shape[shape.size() - 2] > INT64_MAX / 64) {
    return false;
  }
  shape.pop_back();
  shape.back() *= 32;
  blocks.dtype = "MXFP4";
  blocks.shape = shape;
  blocks.scales = scales.data;
  blocks.block_rows = 1;
  blocks.block_cols = 32;
  return true;
}

void Checkpoint::join_scales() {
  for (auto it = tensors_.begin(); it != tensors_.end();) {
    const auto with_end = [&](std::string_view end, std::string_view other) {
      const std::string& name = it->first;
      if (!name.ends_with(end)) return tensors_.end();
      return tensors_.find(name.substr(0, name.size() - end.size()) + std::string(other));
    };
    const auto weights = with_end("weight_scale_inv", "weight");
    const auto blocks = with_end("_scales", "_blocks");
    const bool is_joined = (weights != tensors_.end() && join_fp8(it->second, weights->second)) ||
                           (blocks != tensors_.end() && join_mxfp4(it->second, blocks->second));
    it = is_joined ? tensors_.erase(it) : std::next(it);
  }
}

void Checkpoint::open_part(const std::string& name) {
  const std::string path = (fs::path(path_) / name).string();
  mappings_.push_back(std::make_unique<MappedFile>(path, "checkpoint"));
  SafetensorsHeader header = read_safetensors(mappings_.back()->bytes(), path, kWords);
  for (auto& [tensor_name, tensor] : header.tensors) {
    if (!tensors_.emplace(tensor_name, std::move(tensor)).second) {
      damaged(fmt::format("tensor '{}' is in two files", printable(tensor_name)), path);
    }
  }
  files_.push_back(name);
}

void Checkpoint::check_index(const json& index) {
  const std::string where = (fs::path(path_) / kIndex).string();
  const auto map = index.find("weight_map");
  if (!index.is_object() || map == index.end() || !map->is_object()) {
    damaged("it has no weight_map", where);
  }
  std::set<std::string> parts;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_name(file.get<std::string>())) {
      damaged(fmt::format("tensor '{}' is in no file of the folder", printable(tensor)), where);
    }
    parts.insert(file.get<std::string>());
    if (parts.size() > kMaxParts) damaged("it names too many files", where);
  }
  if (parts.empty()) damaged("it names no file", where);
  for (const std::string& part : parts) open_part(part);
  for (const auto& [tensor, file] : map->items()) {
    if (tensors_.contains(tensor)) continue;
    damaged(fmt::format("tensor '{}' is not in '{}'", printable(tensor),
                        printable(file.get<std::string>())),
            where);
  }
}

}  // namespace crossval
