// Recurrent layers: the same bits with any number of threads and however a prompt is cut, and scans
// and convolutions as their formulas say, in double. Against the real llama.cpp:
// backends/arch_rows_test.cc.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "arch/archs.h"
#include "native/native_engine.h"
#include "native/weights.h"
#include "support/arch_model.h"
#include "support/model_edit.h"
#include "support/temp_dir.h"

namespace crossval {
namespace {

const std::vector<TokenId> kIds = {5, 9, 2, 14, 7, 3, 3, 11, 8, 20, 1, 6, 13};

NativeEngine engine_of(const std::string& path, Numerics numerics, int n_threads) {
  return {ModelFile::open(path),
          nullptr,
          {.numerics = numerics},
          std::make_shared<ThreadPool>(n_threads)};
}

// Logits of all positions, with the ids cut into parts of these lengths.
std::vector<float> logits_of(NativeEngine& engine, const std::vector<size_t>& lengths) {
  engine.reset(static_cast<int>(kIds.size()));
  std::vector<float> all;
  size_t first = 0;
  for (const size_t length : lengths) {
    engine.eval(std::span(kIds).subspan(first, length));
    first += length;
    std::vector<float> part(length * static_cast<size_t>(engine.info().n_vocab));
    engine.read_logits(0, static_cast<int>(length), part);
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

TEST(Recurrent, CutsThreadsAndRunsBeforeChangeNoBit) {
  const testing::TempDir dir;
  int n_checked = 0;
  for (const Arch& arch : all_archs()) {
    if (!arch.has_branch(is_recurrent)) continue;
    ++n_checked;
    const std::string path = dir.file(std::string(arch.name));
    testing::write_arch_model(path, arch);
    for (const Numerics numerics : {Numerics::ggml, Numerics::exact}) {
      NativeEngine one = engine_of(path, numerics, 1), three = engine_of(path, numerics, 3);
      const std::vector<float> whole = logits_of(one, {kIds.size()});
      for (const float logit : whole) ASSERT_TRUE(std::isfinite(logit)) << arch.name;
      EXPECT_EQ(whole, logits_of(three, {kIds.size()})) << arch.name;
      EXPECT_EQ(whole, logits_of(three, {1, 2, 9, 1})) << arch.name;
      EXPECT_EQ(whole, logits_of(three, {kIds.size()})) << arch.name;
    }
  }
  EXPECT_GE(n_checked, 10);
}

using Doubles = std::vector<double>;

// Mamba or Mamba 2 over the ids, token by token in double.
class Reference {
 public:
  Reference(const ModelFile& model, const Arch& arch)
      : config_(read_config(model, arch)),
        weights_(bind_weights(model, arch, config_)),
        states_(weights_.layers.size()) {}

  Doubles logits() {
    Doubles all;
    for (const TokenId id : kIds) {
      std::vector<float> embedding(static_cast<size_t>(config_.n_embd));
      get_row(weights_.outside[Role::token_embd].matrix, id, embedding.data());
      Doubles x(embedding.begin(), embedding.end());
      for (size_t i = 0; i < states_.size(); ++i) {
        const Doubles out = layer(weights_.layers[i], states_[i],
                                  norm(x, weights_.layers[i][Role::attn_norm].vector));
        for (size_t k = 0; k < x.size(); ++k) x[k] += out[k];
      }
      const Doubles row = times(weights_.outside[Role::output],
                                norm(x, weights_.outside[Role::output_norm].vector));
      all.insert(all.end(), row.begin(), row.end());
    }
    return all;
  }

 private:
  struct State {
    std::vector<Doubles> past;  // inputs of the convolution
    Doubles scan;
  };

  static Doubles times(const Weight& weight, const Doubles& x) {
    Doubles out;
    std::vector<float> row(static_cast<size_t>(weight.matrix.row_len));
    for (int64_t i = 0; i < weight.matrix.n_rows; ++i) {
      get_row(weight.matrix, i, row.data());
      out.push_back(std::inner_product(x.begin(), x.end(), row.begin(), 0.0));
      if (!weight.bias.empty()) out.back() += weight.bias[static_cast<size_t>(i)];
    }
    return out;
  }
  Doubles norm(const Doubles& x, std::span<const float> weight) const {
    const double squares = std::inner_product(x.begin(), x.end(), x.begin(), 0.0);
    const double factor =
        1 / std::sqrt(squares / static_cast<double>(x.size()) + double{config_.norm_eps});
    Doubles out;
    for (size_t i = 0; i < x.size(); ++i) out.push_back(x[i] * factor * weight[i]);
    return out;
  }
  static double silu(double x) { return x / (1 + std::exp(-x)); }
  static Doubles part(const Doubles& x, size_t from, size_t n) {
    return {x.begin() + static_cast<std::ptrdiff_t>(from),
            x.begin() + static_cast<std::ptrdiff_t>(from + n)};
  }

  Doubles convolved(const Weight& w, std::vector<Doubles>& past, const Doubles& in) const {
    const auto n_conv = static_cast<size_t>(config_.recurrent.n_conv);
    past.push_back(in);
    Doubles out(in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      for (size_t back = 0; back < std::min(n_conv, past.size()); ++back) {
        out[i] += past[past.size() - 1 - back][i] * w.vector[i * n_conv + n_conv - 1 - back];
      }
      out[i] = silu(out[i] + w.bias[i]);
    }
    return out;
  }

  Doubles layer(const WeightsByRole& w, State& state, const Doubles& in) const {
    const RecurrentConfig& c = config_.recurrent;
    const bool is_mamba2 = config_.arch == "mamba2";
    const auto n_inner = static_cast<size_t>(c.n_inner), n_state = static_cast<size_t>(c.n_state);
    const auto n_heads = static_cast<size_t>(c.n_heads), n_groups = static_cast<size_t>(c.n_groups);
    const auto n_channels = static_cast<size_t>(c.n_channels), n_dt = static_cast<size_t>(c.n_dt);
    const Doubles all = times(w[Role::ssm_in], in);
    const Doubles z = part(all, is_mamba2 ? 0 : n_inner, n_inner);
    const Doubles conv =
        convolved(w[Role::ssm_conv1d], state.past, part(all, is_mamba2 ? n_inner : 0, n_channels));
    Doubles b, of_c, dt;
    if (is_mamba2) {
      b = part(conv, n_inner, n_groups * n_state);
      of_c = part(conv, n_inner + n_groups * n_state, n_groups * n_state);
      dt = part(all, n_inner + n_channels, n_heads);
      for (size_t h = 0; h < n_heads; ++h) dt[h] += w[Role::ssm_dt].vector[h];
    } else {
      const Doubles parameters = times(w[Role::ssm_x], conv);
      b = part(parameters, n_dt, n_state);
      of_c = part(parameters, n_dt + n_state, n_state);
      Doubles low = part(parameters, 0, n_dt);
      if (c.plain_norms) {
        const std::vector<float> ones(std::max(n_dt, n_state), 1.0f);
        for (Doubles* x : {&b, &of_c, &low}) *x = norm(*x, ones);
      }
      dt = times(w[Role::ssm_dt], low);
    }
    state.scan.resize(n_inner * n_state);
    Doubles y(n_inner);
    for (size_t i = 0; i < n_inner; ++i) {
      const size_t head = i / (n_inner / n_heads), group = head / (n_heads / n_groups);
      const double step = std::log1p(std::exp(dt[head]));
      for (size_t k = 0; k < n_state; ++k) {
        const double a = w[Role::ssm_a].vector[is_mamba2 ? head : i * n_state + k];
        double& s = state.scan[i * n_state + k];
        s = std::exp(step * a) * s + step * conv[i] * b[group * n_state + k];
        y[i] += s * of_c[group * n_state + k];
      }
      y[i] = (y[i] + conv[i] * w[Role::ssm_d].vector[head]) * silu(z[i]);
    }
    if (is_mamba2) {
      const size_t n = n_inner / n_groups;
      Doubles normed;
      for (size_t group = 0; group < n_groups; ++group) {
        const Doubles of_group =
            norm(part(y, group * n, n), std::span(w[Role::ssm_norm].vector).subspan(group * n, n));
        normed.insert(normed.end(), of_group.begin(), of_group.end());
      }
      y = normed;
    }
    return times(w[Role::ssm_out], y);
  }

  Config config_;
  Weights weights_;
  std::vector<State> states_;
};

void expect_as_the_formula_says(const std::string& path) {
  const std::shared_ptr<const ModelFile> model = ModelFile::open(path);
  NativeEngine engine = engine_of(path, Numerics::exact, 1);
  const std::vector<float> found = logits_of(engine, {4, kIds.size() - 4});
  const Doubles expected = Reference(*model, *find_arch(model->architecture())).logits();
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) ASSERT_NEAR(found[i], expected[i], 1e-4) << path << i;
}

TEST(Scan, IsAsTheFormulaSays) {
  const testing::TempDir dir;
  for (const char* name : {"mamba", "mamba2"}) {
    testing::write_arch_model(dir.file(name), *find_arch(name));
    expect_as_the_formula_says(dir.file(name));
  }
}

TEST(Scan, OfFalconMambaNormsWhatItIsMadeFrom) {
  const testing::TempDir dir;
  testing::write_arch_model(dir.file("mamba"), *find_arch("mamba"));
  testing::ModelEdit edit(dir.file("mamba"));
  edit.metadata().set_bool("mamba.ssm.dt_b_c_rms", true);
  edit.write(dir.file("falcon-mamba"));
  expect_as_the_formula_says(dir.file("falcon-mamba"));
}

}  // namespace
}  // namespace crossval
