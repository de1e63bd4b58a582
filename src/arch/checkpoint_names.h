// Where each tensor of a GGUF file comes from: the tensors of the Hugging Face checkpoint that it
// was made of, and what was done to them. Names are tried in the order of a table, as llama.cpp's
// converter does, and only one that the checkpoint has is taken: nothing is guessed.
// Source of the facts: llama.cpp gguf-py/gguf/tensor_mapping.py and conversion/.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "arch/arch.h"
#include "arch/config.h"
#include "arch/tensors.h"

namespace crossval {

// A checkpoint as far as names depend on it.
struct CheckpointFacts {
  std::map<std::string, std::vector<int64_t>, std::less<>> shapes;  // as stored: rows first
  nlohmann::json config;  // config.json, what stands under `text_config` among the rest
};

// So many steps of `stride` elements.
struct Axis {
  int64_t count, stride;

  bool operator==(const Axis&) const = default;
};

// Rows of a GGUF tensor as elements of one tensor of the checkpoint: the element of row r and
// column c is number offset + (r taken apart by the axes, the last one fastest) + c * col_stride.
struct CheckpointPart {
  std::string name;  // "" = these rows are zeros: padding
  int64_t offset = 0;
  std::vector<Axis> rows;
  int64_t n_cols = 1, col_stride = 1;
  float factor = 1;  // elements are multiplied with it

  int64_t n_rows() const;
  // Where row r begins.
  int64_t row_begin(int64_t r) const;
};

enum class CheckpointValues { as_is, plus_one, minus_exp };

// What was done to the order of elements. Words for people: checkpoint_words.
enum class CheckpointForm {
  as_is,
  rotary_halves,  // of each head the two halves' rows take turns
  transposed,     // GPT-2's Conv1D, experts by columns
  qkv_by_head,    // each head's queries, keys and values stood together
  qkv_by_group,   // each group of heads' did
  slice,          // of a fused matrix
  joined,         // of several matrices, one below the other
  latent_keys,    // kv_b_proj's rows of keys, each head transposed
  latent_values,  // and of values
  delta_by_head,  // as qkv_by_head, of linear attention
};

struct CheckpointSource {
  // All elements of the tensor, in the file's order: each part's rows after those before.
  std::vector<CheckpointPart> parts;
  CheckpointForm form = CheckpointForm::as_is;
  CheckpointValues values = CheckpointValues::as_is;
  float also_added = 0;  // for hypotheses: what no converter adds
  // Where no tensor is the source: what follows from config.json (factors of rope), about so.
  std::vector<float> computed;
  bool is_tied = false;  // the output matrix is that of the embedding
};

// How the architecture's checkpoints are stored, where that differs from the GGUF.
struct CheckpointRow {
  std::string_view arch;
  bool rotary_halves = false;  // rows of q_proj and k_proj (and their biases) are reordered
  bool norms_plus_one = false;
  bool conv1d = false;  // matrices by columns: c_attn, c_proj, c_fc
  enum class Qkv { plain, by_head, by_group } qkv = Qkv::plain;
  // experts of one tensor: each [gate and up, n_in] (rows), [n_in, gate and up] (columns; gate and
  // up take turns: interleaved), or of three, of which down is by columns (down_columns).
  enum class Fused { rows, columns, interleaved, down_columns } experts = Fused::rows;
  // What converters write as the length of context, whatever config.json says; 0 = what it says.
  int context = 0;
  int gating = 0;       // and as the gating of experts
  int padding_id = -1;  // and as the token of padding; -1 = what the checkpoint says
  // What the converter multiplies a part with (Falcon-H1); null = nothing.
  void (*scale)(const nlohmann::json& config, Role role,
                std::vector<CheckpointPart>& parts) = nullptr;
};

std::span<const CheckpointRow> checkpoint_rows();
// nullptr = there are no names for the architecture yet.
const CheckpointRow* find_checkpoint_row(std::string_view arch);

// The tensor of this spec (is_bias: the bias beside it) and of this shape, ne0 first; nullopt where
// the checkpoint has none of its names, or none of a size that fits.
std::optional<CheckpointSource> checkpoint_source(const TensorSpec& spec, bool is_bias,
                                                  const std::vector<int64_t>& shape,
                                                  const CheckpointRow& row, const Config& config,
                                                  const CheckpointFacts& facts);

// For messages: the first name that was looked for.
std::string expected_checkpoint_name(const TensorSpec& spec, bool is_bias,
                                     const CheckpointFacts& facts);

// "of each head the rows take turns"; "" = nothing was done.
std::string_view checkpoint_words(CheckpointForm form);

}  // namespace crossval
