// Hyperparameters of a model, read from GGUF metadata as its architecture asks for them and
// checked: every field that a forward pass relies on is positive, consistent and small enough to
// multiply.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "arch/arch.h"
#include "gguf/model_file.h"

namespace crossval {

// Above it no known model lies; it keeps every product of two sizes inside int64.
inline constexpr int64_t kMaxWidth = int64_t{1} << 24;

// Rotary embedding with linear or YaRN scaling (arXiv:2309.00071), as llama.cpp parametrises it.
struct RopeConfig {
  RopeStyle style = RopeStyle::norm;
  int n_dims = 0;  // elements of a head that are rotated
  float freq_base = 10000.0f;
  float freq_scale = 1.0f;   // 1 / scaling factor
  float ext_factor = 0.0f;   // 1 for YaRN, else 0
  float attn_factor = 1.0f;  // magnitude correction
  float beta_fast = 32.0f, beta_slow = 1.0f;
  int n_ctx_orig = 0;                // context the model was trained on before scaling
  std::array<int, 4> sections = {};  // pairs of time, height, width and other (multi, interleaved)

  bool operator==(const RopeConfig&) const = default;
};

// Multi-head latent attention (blocks.h).
struct LatentConfig {
  int rank = 0;    // of the row that keys and values are made of; 0 = ordinary attention
  int q_rank = 0;  // of the row that queries are made of; 0 = they are made of the input
  int key_len = 0, value_len = 0;  // of a head
  bool absorbed = false;
};

// What may differ from layer to layer.
struct LayerConfig {
  int n_heads = 0, n_kv_heads = 0, n_ff = 0;
  int head_dim = 0, value_dim = 0;  // of keys and values as the cache holds them
  float kq_scale = 0;               // instead of the model's; 0 = that
  LatentConfig latent;
  bool has_indexer = false;  // of its own, not that of a layer before
  bool has_window = false;   // sees only Config::window_len positions
  bool has_window_rope = false;
  int ratio = 0;  // positions that a row of compressed attention stands for; 0 = there are none
  bool has_rope = true;
  bool has_qk_norm = true;                  // where the architecture has one
  bool has_experts = false;                 // instead of a dense feed-forward part
  int n_experts_used = 0, n_ff_expert = 0;  // where it has them
  bool experts_by_token = false;      // a table says which ones each token of the vocabulary has
  float clamp = 0, shared_clamp = 0;  // of swiglu in experts, and in shared ones; 0 = none
  int kind = 0;                       // of the architecture's kinds of layers (Arch::layer_of)
  bool is_recurrent = false;
};

struct ExpertConfig {
  int n_experts = 0;  // 0 = the model has none
  int n_ff_shared = 0;
  float weights_scale = 1;
  bool weights_norm = false;
  Gating gating = Gating::softmax;
  int n_groups = 0, n_groups_used = 0;
  int n_latent = 0;   // of the row that experts read (Experts::latent); 0 = they read the whole one
  int n_sharing = 0;  // experts that share an adjugate one
  int n_ff_adjugate = 0;
  float adjugate_scale = 0;
};

// Of recurrent layers: a convolution over n_conv positions of n_channels, and (SelectiveScan,
// GatedDeltaNet) heads that share n_inner channels, each with n_state elements of state.
struct RecurrentConfig {
  int n_conv = 0;  // 0 = no layer is recurrent
  int n_channels = 0;
  int n_inner = 0, n_state = 0, n_heads = 0, n_groups = 0;
  int n_dt = 0;              // elements that time steps are made from (mamba 1)
  float decay_bound = 0;     // 0 = none (ChannelDeltaNet)
  bool plain_norms = false;  // of dt, B and C, without weights (Falcon Mamba)
};

// Streams of the residual beside one another (Arch::hyper_connections).
struct HyperConfig {
  int count = 0;  // 0 = there is one, which has no weights
  float eps = 0;  // added to the weights for reading, and to sums that are divided by
  float magnitude = 1, added_eps = 0;  // of the weights for adding
  int n_rounds = 0;                    // of making the mixture doubly stochastic (Hyper::mixes)
  int rank = 0;                        // of the row that gates are made by way of (Hyper::gates)
};

// Embeddings of the latest 2 to n_ids ids: each of several hashes of them looks up a row
// (Arch::ngrams). Source: llama.cpp src/models/qwen4exp.cpp.
struct NgramConfig {
  int layer = -1;               // -1 = there are none
  int n_ids = 0, n_hashes = 0;  // hashes of each number of ids
  int row_len = 0, n_conv = 0;
  int32_t end = 0;                     // before it nothing counts
  std::vector<uint64_t> factors;       // of each id, the latest first
  std::vector<int64_t> first, n_rows;  // of each hash

  int n_lookups() const { return (n_ids - 1) * n_hashes; }
};

// How compressed attention goes back: heads in groups, each by way of a short row of its own.
struct OutputGroups {
  int count = 0, rank = 0;
};

// Layers are passes through two stacks (arXiv:2506.21734): n_high times n_low passes of the low one
// and one of the high one, each over the sum of both states and into its own.
struct CycleConfig {
  int n_layers = 0;  // of a stack; 0 = layers follow one another
  int n_high = 0, n_low = 0;

  bool is_high(int layer) const { return layer / n_layers % (n_low + 1) == n_low; }
  // The number that the layer's tensors have: first those of the low stack, then of the high one.
  int block_of(int layer) const { return layer % n_layers + (is_high(layer) ? n_layers : 0); }
};

// What chooses the positions that a token sees (blocks.h).
struct IndexerConfig {
  int n_seen = 0;  // so many at most, or so many blocks; 0 = all
  int n_heads = 0, key_len = 0;
  int block_len = 1;  // positions of a block
  int n_latest = 0;   // blocks that are always seen
  float norm_eps = 0;

  // The shortest prompt of which not all is seen by all.
  int64_t n_thinned() const { return int64_t{n_seen} * block_len + 1; }
};

// Queries are multiplied with log(floor((position + offset) / length) + 1) * scale + 1.
struct TemperatureConfig {
  float scale = 0;  // 0 = they are not
  int length = 0;
  float offset = 0;
};

struct Config {
  std::string arch;
  int n_vocab = 0, n_embd = 0, n_layers = 0, n_ctx_train = 0;
  int n_heads = 0, n_kv_heads = 0, n_ff = 0;  // of the first layer that has them
  int head_dim = 0;                           // of queries and keys
  int value_dim = 0;                          // of values
  float norm_eps = 0;
  float kq_scale = 0;  // scores are multiplied by it before softcap and softmax
  RopeConfig rope, window_rope;
  int window_len = 0;  // positions that a windowed layer sees; 0 = there are none
  float attn_softcap = 0, final_softcap = 0;  // 0 = none
  float embedding_scale = 1, residual_scale = 1, logit_scale = 1;
  float alibi_bias = 0;       // the largest slope's exponent base (ggml's max_bias); 0 = no ALiBi
  float clamp_qkv = 0;        // 0 = none
  bool parallel = false;      // see Arch::parallel_key
  int checkpoint_period = 0;  // layers between kept residuals; 0 = none are kept
  float situ_beta = 1, situ_linear_beta = 0;  // limits of gate and up (Act::situ); 0 = none
  float attention_factor = 1;                 // of what attention gives to the residual
  IndexerConfig indexer;
  TemperatureConfig temperature;
  HyperConfig hyper;
  OutputGroups output_groups;
  NgramConfig ngrams;
  CycleConfig cycles;
  ExpertConfig experts;
  RecurrentConfig recurrent;
  std::vector<LayerConfig> layers;

  void set_expert_lengths(int n) {
    for (LayerConfig& layer : layers) layer.n_ff_expert = n;
  }
  float kq_scale_of(int layer) const {
    const float own = layers[static_cast<size_t>(layer)].kq_scale;
    return own != 0 ? own : kq_scale;
  }
  const RopeConfig& rope_of(int layer) const {
    return layers[static_cast<size_t>(layer)].has_window_rope ? window_rope : rope;
  }
};

// The keys of an architecture ("<arch>.name"), checked as they are read. Every read throws
// bad_input naming the key when its value is out of range or of another kind.
class Keys {
 public:
  explicit Keys(const ModelFile& model) : model_(model), prefix_(model.architecture() + ".") {}

  std::string full(const char* name) const { return prefix_ + name; }
  bool has(const char* name) const { return model_.find(full(name)) != nullptr; }
  int required_int(const char* name, int64_t max) const;
  int optional_int(const char* name, int fallback, int64_t max) const;
  // As optional_int, but 0 is a value too.
  int count(const char* name, int fallback, int64_t max) const;
  float optional_float(const char* name, float fallback) const;
  bool optional_bool(const char* name, bool fallback) const;
  std::string optional_string(const char* name, const char* fallback) const;
  // One value for every layer, from a key that holds one or a list of them; the fallback where
  // there is none.
  std::vector<int> per_layer(const char* name, int n_layers, std::optional<int> fallback,
                             int64_t max) const;
  // So many values, from a key that holds a list of them or more; none is below `min`.
  std::vector<int64_t> list(const char* name, int n_values, int64_t min = 0) const;
  // Flags from a list of booleans or numbers; empty when the key is absent or holds one number.
  std::vector<bool> flags(const char* name) const;
  const ModelFile& model() const { return model_; }

 private:
  int checked(const char* name, int64_t value, int64_t min, int64_t max) const;

  const ModelFile& model_;
  std::string prefix_;
};

// For Arch::adjust: models that see pictures say sections of rotation and rotate by them; those of
// text alone, of the same architecture, as the row says (GLM-4, Hunyuan).
void adjust_sections(const Keys& keys, Config& config);

// Throws bad_input naming the key when one is missing, out of range or inconsistent.
Config read_config(const ModelFile& model, const Arch& arch);

}  // namespace crossval
