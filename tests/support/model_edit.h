// A changed copy of a GGUF model: metadata set or removed, tensors negated, scaled, exchanged,
// damaged with a NaN, converted to F32 or F16. Every planted fault of the tests is made with it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/model_file.h"
#include "gguf/writer.h"

namespace crossval::testing {

// Where the f16 scales (and minima) lie in a block of the type; all of a block's weights are
// linear in them. Throws std::runtime_error for types without.
std::vector<size_t> scale_offsets(GgmlType type);

class ModelEdit {
 public:
  explicit ModelEdit(const std::string& path);

  // Metadata (general.alignment is dropped: copies are aligned to 32 bytes).
  GgufWriter& metadata() { return writer_; }
  const ModelFile& original() const { return *model_; }

  // Tensors. A name that is not there throws std::runtime_error, as does what a type cannot do.
  bool has(const std::string& name) const;
  GgmlType type(const std::string& name) const { return find(name).type; }
  const std::vector<int64_t>& shape(const std::string& name) const { return find(name).shape; }
  std::vector<float> values(const std::string& name) const;  // dequantised
  // Changes the stored bytes in place, when the copy is written.
  void edit_bytes(const std::string& name, std::function<void(std::vector<std::byte>&)> edit);
  // `name` gets what `from` holds now; both must have one type and shape.
  void copy_content(const std::string& from, const std::string& name);
  void replace(const std::string& name, GgmlType type, std::vector<int64_t> shape,
               std::vector<std::byte> bytes);
  void add(const std::string& name, GgmlType type, std::vector<int64_t> shape,
           std::vector<std::byte> bytes);
  void replace_f32(const std::string& name, std::vector<int64_t> shape,
                   const std::vector<float>& values);
  void remove(const std::string& name);
  void rename(const std::string& name, const std::string& to);
  void swap(const std::string& a, const std::string& b);  // exchange two tensors' contents
  void move_to_front(const std::string& name);            // order in the file
  void negate(const std::string& name);                   // same type: the signs of scales
  void scale(const std::string& name, float factor);      // float types stay, others: F32
  void set_nan(const std::string& name, int64_t index);   // the weight's own scale, or itself
  void convert(const std::string& name, GgmlType type);   // F32, F16, BF16, Q4_0, ...
  void convert_matrices(GgmlType type);                   // all of two or more dimensions

  void write(const std::string& path, int version = 3);

 private:
  using Bytes = std::vector<std::byte>;
  // Contents are made when written, so that a converted copy of a large model never is in memory.
  struct Tensor {
    std::string name;
    GgmlType type;
    std::vector<int64_t> shape;
    std::function<Bytes()> bytes;
  };
  Tensor& find(const std::string& name);
  const Tensor& find(const std::string& name) const;

  std::shared_ptr<const ModelFile> model_;
  GgufWriter writer_;
  std::vector<Tensor> tensors_;
};

}  // namespace crossval::testing
