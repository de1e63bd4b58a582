// A Hugging Face checkpoint: a folder with config.json and weights in safetensors, whole or in
// parts by model.safetensors.index.json. All of it is a stranger's and checked; the weights stay
// mapped.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/mapped_file.h"
#include "checkpoint/safetensors.h"

namespace crossval {

class Checkpoint {
 public:
  // Throws bad_input naming the file that is missing or damaged.
  static std::shared_ptr<const Checkpoint> open(const std::string& folder);

  const std::string& path() const { return path_; }
  // config.json; what stands under `text_config` (or `llm_config`) is among the rest.
  const nlohmann::json& config() const { return config_; }
  // The tensors of all parts, by name. Scales are with the weights that they belong to: f32 of
  // blocks of FP8 ("weight_scale_inv"), and MXFP4 ("_blocks" and "_scales"), which is one tensor of
  // type "MXFP4" with rows of weights.
  const std::map<std::string, SafetensorsTensor, std::less<>>& tensors() const { return tensors_; }
  const SafetensorsTensor* find(std::string_view name) const;
  int64_t n_bytes() const;
  const std::vector<std::string>& files() const { return files_; }  // of weights, names alone

  // Of the files beside: null, nullopt or discarded where the folder has no such file. Throws
  // bad_input where one is no JSON, or too large.
  nlohmann::json read_json(const std::string& name) const;
  std::optional<std::string> read_text(const std::string& name) const;

  explicit Checkpoint(const std::string& folder);

 private:
  void read_weights();
  void open_part(const std::string& name);
  void check_index(const nlohmann::json& index);
  void join_scales();
  bool join_fp8(const SafetensorsTensor& scales, SafetensorsTensor& weights) const;
  bool join_mxfp4(const SafetensorsTensor& scales, SafetensorsTensor& blocks) const;

  std::string path_;
  nlohmann::json config_;
  std::map<std::string, SafetensorsTensor, std::less<>> tensors_;
  std::vector<std::string> files_;
  std::vector<std::unique_ptr<MappedFile>> mappings_;
};

// n elements from number `begin` on, so many apart, as f32: 64 bits are rounded. False where the
// type is none of numbers that weights have.
bool read_elements(const SafetensorsTensor& tensor, int64_t begin, int64_t n, int64_t stride,
                   float* out);

}  // namespace crossval
