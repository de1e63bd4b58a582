#include "quant/lift.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gguf/writer.h"
#include "quant/matmul.h"

namespace crossval {
namespace {

constexpr int64_t kPieceBytes = 1 << 20;

void put_rows(const WeightView& weights, const GgufWriter::Put& put) {
  const int64_t row_bytes = weights.row_len * static_cast<int64_t>(sizeof(float));
  const int64_t n_at_once = std::max<int64_t>(1, kPieceBytes / row_bytes);
  std::vector<float> rows(static_cast<size_t>(n_at_once * weights.row_len));
  for (int64_t row = 0; row < weights.n_rows; row += n_at_once) {
    const int64_t n = std::min(n_at_once, weights.n_rows - row);
    for (int64_t i = 0; i < n; ++i) get_row(weights, row + i, rows.data() + i * weights.row_len);
    put(std::as_bytes(std::span(rows).first(static_cast<size_t>(n * weights.row_len))));
  }
}

// Tables of ids and the like, which are no weights.
bool is_integer(GgmlType type) {
  return type == GgmlType::I8 || type == GgmlType::I16 || type == GgmlType::I32 ||
         type == GgmlType::I64;
}

GgufWriter lifted(const ModelFile& model) {
  GgufWriter out;
  for (const auto& [key, value] : model.metadata()) {
    if (!key.starts_with("split.")) out.copy(key, value);
  }
  out.set_u32("general.file_type", 0);  // LLAMA_FTYPE_ALL_F32 of llama.h
  for (const TensorView& tensor : model.tensors()) {
    if (tensor.type == GgmlType::F32 || is_integer(tensor.type)) {
      out.add_tensor(tensor.name, tensor.type, tensor.shape, tensor.data);
      continue;
    }
    const auto bytes = tensor_bytes(GgmlType::F32, tensor.shape);
    if (!bytes) {
      bad_input("too_large", "the tensor is too large to be dequantised", "tensor " + tensor.name,
                "compare the model as it is, without --lift");
    }
    out.add_tensor(
        tensor.name, GgmlType::F32, tensor.shape,
        [view = weight_view(tensor)](const GgufWriter::Put& put) { put_rows(view, put); });
  }
  return out;
}

std::string human_bytes(uint64_t n) {
  return fmt::format("{:.1f} MiB", static_cast<double>(n) / (1 << 20));
}

void check_room(const std::string& dir, uint64_t needed) {
  struct statvfs status {};
  if (::statvfs(dir.c_str(), &status) != 0) {
    bad_input("cannot_write",
              fmt::format("the folder for the dequantised model cannot be used: {}",
                          std::strerror(errno)),
              dir, "set TMPDIR to a folder that exists and may be written to");
  }
  const uint64_t room = uint64_t{status.f_bavail} * status.f_frsize;
  if (room >= needed) return;
  bad_input("disk_full",
            fmt::format("the dequantised model takes {}, there is room for {}: {} are missing",
                        human_bytes(needed), human_bytes(room), human_bytes(needed - room)),
            dir, "free that much space there, or set TMPDIR to a folder that has it");
}

std::string temp_folder() {
  std::error_code error;
  const auto folder = std::filesystem::temp_directory_path(error);
  if (!error) return folder.string();
  bad_input("cannot_write", "there is no folder for temporary files: " + error.message(), "TMPDIR",
            "set TMPDIR to a folder that exists and may be written to");
}

}  // namespace

LiftedModel::LiftedModel(LiftedModel&& other) noexcept
    : path_(std::move(other.path_)),
      name_(std::exchange(other.name_, "")),
      fd_(std::move(other.fd_)),
      size_bytes_(other.size_bytes_) {}

LiftedModel::~LiftedModel() {
  if (!name_.empty()) ::unlink(name_.c_str());
}

LiftedModel lift_model(const ModelFile& model, const std::string& dir) {
  static std::atomic<int> serial{0};
  const std::string folder = dir.empty() ? temp_folder() : dir;
  const GgufWriter writer = lifted(model);
  check_room(folder, writer.file_bytes());
  LiftedModel out;
  const std::string name =
      fmt::format("{}/crossval-lifted-{}-{}.gguf", folder, ::getpid(), serial++);
  writer.write(name);
  out.name_ = name;
  out.path_ = name;
  out.size_bytes_ = static_cast<int64_t>(writer.file_bytes());
  // Reachable through the open descriptor, and nobody has to remove it.
  out.fd_ = UniqueFd(::open(name.c_str(), O_RDONLY | O_CLOEXEC));
  const std::string link = fmt::format("/proc/{}/fd/{}", ::getpid(), out.fd_.get());
  if (out.fd_ && ::access(link.c_str(), R_OK) == 0 && ::unlink(name.c_str()) == 0) {
    out.name_.clear();
    out.path_ = link;
  }
  return out;
}

}  // namespace crossval
