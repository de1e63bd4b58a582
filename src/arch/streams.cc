#include "arch/streams.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"

namespace crossval {
namespace {

void read_hyper(const Keys& keys, const Arch& arch, Config& config) {
  HyperConfig& out = config.hyper;
  out.count = keys.required_int("hyper_connection.count", 64);
  if (arch.hyper == Arch::Hyper::gates) {
    out.rank = keys.required_int("hyper_connection.low_rank", kMaxWidth);
    return;
  }
  out.eps = keys.optional_float("hyper_connection.epsilon", 0);
  if (arch.hyper == Arch::Hyper::sums) {
    out.magnitude = keys.optional_float("hyper_connection.magnitude", 1);
    out.added_eps = out.eps;
  } else {
    out.magnitude = 2;
    out.n_rounds = keys.required_int("hyper_connection.sinkhorn_iterations", 1 << 16);
  }
}

// llama.cpp src/models/qwen4exp.cpp `load_arch_hparams`.
void read_ngrams(const Keys& keys, Config& config) {
  if (!keys.has("ple.layers")) return;
  NgramConfig& out = config.ngrams;
  const int64_t layer = keys.list("ple.layers", 1)[0];
  if (layer >= config.n_layers || !config.layers[static_cast<size_t>(layer)].is_recurrent) {
    bad_input("bad_hyperparameter",
              fmt::format("'{}' names layer {}, which is no recurrent one of {}",
                          keys.full("ple.layers"), layer, config.n_layers),
              keys.model().path(), "correct this metadata key or convert the model again");
  }
  out.layer = static_cast<int>(layer);
  out.n_ids = keys.required_int("ple.ngram_size", 16);
  out.n_hashes = keys.required_int("ple.heads_per_ngram", 1 << 10);
  out.n_conv = keys.required_int("ple.conv_kernel", 1 << 10);
  out.end = keys.count("ple.eos_token_id", 0, INT32_MAX);
  out.row_len = keys.required_int("embedding_length_per_layer_input", kMaxWidth);
  const auto factors = keys.list("ple.layer_multipliers", out.n_ids, INT64_MIN);  // of 64 bits
  out.factors.assign(factors.begin(), factors.end());
  out.first = keys.list("ple.head_offsets", out.n_lookups());
  out.n_rows = keys.list("ple.head_vocab_sizes", out.n_lookups());
  const auto fits = [](int64_t n) { return n <= INT32_MAX; };
  if (out.n_ids >= 2 && int64_t{out.n_lookups()} * out.row_len == config.n_embd &&
      std::ranges::all_of(out.first, fits) &&
      std::ranges::all_of(out.n_rows, [&](int64_t n) { return n > 0 && fits(n); })) {
    return;
  }
  bad_input("bad_hyperparameter",
            fmt::format("{} rows of {} elements for embeddings of {}, or their tables, make no "
                        "sense",
                        out.n_lookups(), out.row_len, config.n_embd),
            keys.model().path(), "correct the ple.* metadata keys");
}

// Lists the specs of one layer, or of what stands outside the layers (layer -1).
class Lister {
 public:
  Lister(int layer, std::vector<TensorSpec>& out) : layer_(layer), out_(out) {}

  void matrix(Role role, int64_t ne0, int64_t ne1) {
    add(role, ne0, ne1).is_linear = true;
    out_.back().uses_scale = false;
  }
  TensorSpec& add(Role role, int64_t ne0, int64_t ne1 = 0) {
    out_.push_back({.role = role, .layer = layer_, .shape = {ne0, ne1}, .uses_bias = false});
    return out_.back();
  }
  // A norm of each stream.
  void norm(Role role, const Config& config) {
    add(role, config.n_embd, config.hyper.count).any_shape = true;
  }

 private:
  int layer_;
  std::vector<TensorSpec>& out_;
};

void list_gates(Role norm, Role down, Role up, const Config& config, Lister& list) {
  const int64_t n_all = int64_t{config.hyper.count} * config.n_embd;
  list.norm(norm, config);
  list.matrix(down, n_all, config.hyper.rank);
  list.matrix(up, config.hyper.rank, n_all);
}

// Sets of one weight for each of the streams, and where they are mixed one for each pair of them.
void list_weights(Role fn, Role base, Role scale, int n_sets, bool mixes, const Config& config,
                  Lister& list) {
  const int64_t n = config.hyper.count, n_rows = n * (n_sets + (mixes ? n : 0));
  list.matrix(fn, n * config.n_embd, n_rows);
  list.add(base, n_rows);
  list.add(scale, n_sets + (mixes ? 1 : 0));
}

}  // namespace

void read_streams_config(const Keys& keys, const Arch& arch, Config& config) {
  if (arch.hyper != Arch::Hyper::none) read_hyper(keys, arch, config);
  if (arch.ngrams) read_ngrams(keys, config);
}

void list_streams(const ModelFile& model, const Arch& arch, const Config& config,
                  std::vector<TensorSpec>& out) {
  Lister list(-1, out);
  if (arch.hyper == Arch::Hyper::gates) {
    list_gates(Role::output_hc_norm, Role::output_hc_down, Role::output_hc_up, config, list);
  } else if (arch.hyper != Arch::Hyper::none) {
    list_weights(Role::output_hc_fn, Role::output_hc_base, Role::output_hc_scale, 1, false, config,
                 list);
  }
  const NgramConfig& ngrams = config.ngrams;
  if (ngrams.layer < 0) return;
  int64_t n_rows = 0;
  for (size_t i = 0; i < ngrams.first.size(); ++i)
    n_rows = std::max(n_rows, ngrams.first[i] + ngrams.n_rows[i]);
  list.matrix(Role::per_layer_token_embd, ngrams.row_len, n_rows);
  // Files may have more.
  const TensorView* file = model.find_tensor(out.back().name());
  if (file != nullptr) out.back().shape[1] = std::max(n_rows, file->n_rows());
}

void list_streams_of_layer(const Config& config, int layer, std::vector<TensorSpec>& out) {
  if (config.ngrams.layer != layer) return;
  Lister list(layer, out);
  const int64_t n_all = int64_t{config.hyper.count} * config.n_embd;
  list.matrix(Role::ple_key, config.n_embd, n_all);
  list.matrix(Role::ple_value, config.n_embd, config.n_embd);
  for (const Role role : {Role::ple_norm_key, Role::ple_norm_query, Role::ple_norm_conv})
    list.norm(role, config);
  list.add(Role::ple_conv1d, config.ngrams.n_conv, n_all).has_rows = true;
}

void list_streams_of_branch(const Arch& arch, const Branch& branch, const Config& config, int layer,
                            std::vector<TensorSpec>& out) {
  Lister list(layer, out);
  if (arch.hyper == Arch::Hyper::gates) {
    list_gates(branch.hyper_norm, branch.hyper_down, branch.hyper_up, config, list);
    list.matrix(branch.hyper_inject, int64_t{config.hyper.count} * config.n_embd,
                config.hyper.count);
  } else if (arch.hyper != Arch::Hyper::none) {
    list_weights(branch.hyper_fn, branch.hyper_base, branch.hyper_scale, 2,
                 arch.hyper == Arch::Hyper::mixes, config, list);
  }
}

}  // namespace crossval
