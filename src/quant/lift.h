// Lifting: a copy of a model with every weight dequantised to F32, so that two engines differ by
// graph and hyperparameters alone and no longer by what quantised kernels round. Split models
// become one file. Memory stays at a few rows; room on the disk is checked before anything is
// written; the copy is there whole or not at all, and gone with its owner.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/unique_fd.h"
#include "gguf/model_file.h"

namespace crossval {

class LiftedModel {
 public:
  ~LiftedModel();
  LiftedModel(LiftedModel&& other) noexcept;
  LiftedModel& operator=(LiftedModel&&) = delete;

  // For this process and every other of the same user, as long as this object lives. Where /proc
  // is mounted the file itself has no name any more, so that even a killed process leaves nothing.
  const std::string& path() const { return path_; }
  int64_t size_bytes() const { return size_bytes_; }

 private:
  friend LiftedModel lift_model(const ModelFile& model, const std::string& dir);
  LiftedModel() = default;

  std::string path_, name_;  // name_: to be removed; empty when it is already
  UniqueFd fd_;
  int64_t size_bytes_ = 0;
};

// Writes the copy into `dir` ("" = TMPDIR or the system's folder for temporary files). Metadata
// stay as they are except general.file_type. Throws bad_input: "unsupported_type" for a tensor
// type native has no reader for, "disk_full" with what is missing, or what AtomicFile throws.
LiftedModel lift_model(const ModelFile& model, const std::string& dir = "");

}  // namespace crossval
