// A GGUF model as its readers see it: metadata and tensor views over mapped memory, split files
// already joined. Everything in it was checked: offsets, sizes, counts and strings can be trusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gguf/i2_s_layout.h"
#include "gguf/types.h"

namespace crossval {

// A metadata value. Integers keep their sign; every GGUF integer type widens to int64/uint64.
// Arrays of arrays are kept as their element count only, as uint64 (no engine reads one).
struct MetaValue {
  using StringArray = std::vector<std::string_view>;  // views into the mapped file
  std::variant<uint64_t, int64_t, double, bool, std::string_view, std::vector<int64_t>,
               std::vector<double>, std::vector<bool>, StringArray>
      value;
  uint32_t gguf_type = 0;               // as stored (gguf.h `enum gguf_type`), for `inspect`
  uint32_t element_type = 0;            // of an array (gguf_type 9), as stored
  std::span<const std::byte> raw = {};  // the value as stored, behind its type: for exact copies
};

struct TensorView {
  std::string name;
  GgmlType type;
  std::vector<int64_t> shape;  // ggml order: shape[0] is the row length (ne0)
  std::span<const std::byte> data;
  uint64_t file_offset = 0;                // where data begins in its part
  int part = 0;                            // index into ModelFile::parts()
  I2sLayout i2_s_layout = I2sLayout::x86;  // of `data`, where the type is I2_S
  int64_t n_elements() const;
  int64_t n_rows() const { return shape.empty() || shape[0] == 0 ? 0 : n_elements() / shape[0]; }
};

struct I2sDecision {
  I2sLayout layout;  // as stored; a tensor's `data` may have been turned into another one
  // "flag"; "size": no other layout has tensors of this size; "shape": of this size, but rows no
  // other has; "assumed": others would look the same.
  std::string_view how;
  std::vector<I2sLayout> others;  // that would look the same
};

class ModelFile {
 public:
  // Maps and checks the file (and the other parts of a split one). Throws bad_input Error.
  // `i2_s_layout`: that of I2_S tensors, "auto" or a name of the table in i2_s_layout.h.
  static std::shared_ptr<const ModelFile> open(const std::string& path,
                                               const std::string& i2_s_layout = "auto");
  // This model with some tensors of another one, those that both have in one shape.
  std::shared_ptr<const ModelFile> with_tensors_of(const ModelFile& other,
                                                   std::span<const std::string> names) const;

  const std::string& path() const { return path_; }
  int version() const { return version_; }
  int64_t size_bytes() const { return size_bytes_; }  // of all parts
  const std::vector<std::string>& parts() const { return parts_; }
  const std::map<std::string, MetaValue, std::less<>>& metadata() const { return metadata_; }
  const std::vector<TensorView>& tensors() const { return tensors_; }  // in file order
  const TensorView* find_tensor(std::string_view name) const;

  // nullptr/nullopt when the key is absent; throws bad_input when it has another kind of value. A
  // list of numbers below the architecture's name (one for each layer) is the value that all have,
  // nullopt where they differ.
  const MetaValue* find(std::string_view key) const;
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<double> get_float(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string> get_string(std::string_view key) const;

  std::string architecture() const;  // general.architecture; throws when absent
  std::string quantization() const;  // the type holding most weights, "Q4_1"
  int64_t n_params() const;
  // How the layout of the I2_S tensors was found; nullopt where there are none.
  const std::optional<I2sDecision>& i2_s() const { return i2_s_; }

 private:
  // Who decided on the layout of I2_S weights so far.
  enum class LayoutBy { flag, size, nobody };
  void settle_i2_s(LayoutBy decided);
  void settle_tl();  // TL1 and TL2 as they are handed out: in I2_S's layout "arm"
  bool is_hyperparameter(std::string_view key) const;

  std::string path_;
  std::optional<I2sDecision> i2_s_;
  int version_ = 0;
  int64_t size_bytes_ = 0;
  std::vector<std::string> parts_;
  std::map<std::string, MetaValue, std::less<>> metadata_;
  std::vector<TensorView> tensors_;
  std::map<std::string, size_t, std::less<>> tensor_index_;
  std::vector<std::shared_ptr<const void>> mappings_;  // keeps the memory alive
};

}  // namespace crossval
