// Recurrent layers of every architecture that has them: the same bits however a prompt is cut, and
// scans and convolutions as their formulas say, in double.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <numeric>
#include <set>

#include "arch/archs.h"
#include "gguf/writer.h"
#include "native/native_engine.h"
#include "native/weights.h"
#include "support/random.h"
#include "support/temp_dir.h"
#include "support/tiny_vocabulary.h"

namespace crossval {
namespace {

constexpr int kEmbd = 32;
const std::vector<TokenId> kIds = {5, 9, 2, 14, 7, 3, 3, 11, 8, 20, 1, 6, 13};

struct Case {
  std::string name, arch;
  std::function<void(GgufWriter& out, const std::string& prefix)> keys;
  const char* decisive = nullptr;  // a tensor that others follow from by being there
};

// Norms that files of the architecture name without ".weight".
bool is_bare(const std::string& arch, Role role) {
  if (arch == "falcon-h1") return role == Role::ffn_norm;
  return arch == "plamo2" &&
         (role == Role::attn_post_norm || role == Role::ffn_post_norm ||
          role == Role::ssm_dt_norm || role == Role::ssm_b_norm || role == Role::ssm_c_norm);
}

void write(GgufWriter& out, const std::string& path, const std::string& arch,
           std::vector<TensorSpec> specs) {
  testing::Random random(7);
  std::set<std::string> written;  // branches that share a norm both list it
  for (TensorSpec& spec : specs) {
    spec.is_bare = spec.is_bare || is_bare(arch, spec.role);
    if (!spec.is_used || spec.stem().starts_with("rope_")) continue;
    std::vector<int64_t> shape;
    for (const int64_t n : spec.shape) {
      if (n != 0) shape.push_back(n);
    }
    if (shape.empty() || !written.insert(spec.name()).second) continue;
    const auto fill = [&](const std::string& name, std::vector<int64_t> ne, float mean,
                          float deviation) {
      const int64_t count = std::accumulate(ne.begin(), ne.end(), int64_t{1}, std::multiplies<>());
      std::vector<std::byte> bytes(static_cast<size_t>(count) * sizeof(float));
      for (int64_t i = 0; i < count; ++i) {
        const float value = mean + deviation * random.normal();
        std::memcpy(&bytes[static_cast<size_t>(i) * sizeof value], &value, sizeof value);
      }
      out.add_tensor(name, GgmlType::F32, std::move(ne),
                     [bytes = std::move(bytes)] { return bytes; });
    };
    const bool is_decay = spec.role == Role::ssm_a;  // negative, or the state explodes
    const bool is_norm = !spec.is_linear && !spec.is_bias && !spec.has_rows && !is_decay;
    fill(spec.name(), shape,
         is_decay  ? -1.0f
         : is_norm ? 1.0f
                   : 0.0f,
         spec.is_linear ? 1.0f / std::sqrt(static_cast<float>(shape[0])) : 0.2f);
    if ((spec.role == Role::ssm_conv1d && arch != "plamo2") ||
        (spec.role == Role::ssm_dt && !spec.is_bias)) {
      fill(spec.stem() + ".bias", {shape[1]}, 0.0f, 0.2f);
    }
  }
  out.write(path);
}

// A random model of the architecture: what tensors it has is said by arch/tensors.h.
void write_model(const std::string& path, const Case& c) {
  GgufWriter out;
  const std::string prefix = c.arch + ".";
  out.set_string("general.architecture", c.arch);
  const int n_vocab = testing::set_tiny_vocabulary(out, testing::TinyVocabulary::gpt2, false);
  const std::pair<const char*, int> counts[] = {{"block_count", 3},
                                                {"context_length", 64},
                                                {"embedding_length", kEmbd},
                                                {"feed_forward_length", 48},
                                                {"attention.head_count", 4},
                                                {"ssm.conv_kernel", 4},
                                                {"ssm.inner_size", 2 * kEmbd},
                                                {"ssm.state_size", 11},
                                                {"ssm.time_step_rank", 8},
                                                {"ssm.group_count", 2},
                                                {"shortconv.l_cache", 3}};
  for (const auto& [key, value] : counts) out.set_u32(prefix + key, static_cast<uint32_t>(value));
  for (const char* norm : {"layer_norm_rms_epsilon", "layer_norm_epsilon"}) {
    out.set_f32(prefix + "attention." + norm, 1e-5f);
  }
  if (c.keys) c.keys(out, prefix);
  const std::string draft = path + ".draft";
  GgufWriter with_decisive = out;
  if (c.decisive != nullptr) {
    with_decisive.add_tensor(c.decisive, GgmlType::F32, {1},
                             [] { return std::vector<std::byte>(sizeof(float)); });
  }
  with_decisive.write(draft);
  const std::shared_ptr<const ModelFile> model = ModelFile::open(draft);
  const Arch& arch = *find_arch(c.arch);
  Config config = read_config(*model, arch);
  config.n_vocab = n_vocab;
  write(out, path, c.arch, tensors_of(*model, arch, config));
}

void by_turns(GgufWriter& out, const std::string& prefix) {
  out.set_i32_array(prefix + "attention.head_count_kv", std::vector<int32_t>{0, 2, 0});
}

void with_experts(GgufWriter& out, const std::string& prefix) {
  by_turns(out, prefix);
  out.set_u32(prefix + "expert_count", 4);
  out.set_u32(prefix + "expert_used_count", 2);
  out.set_u32(prefix + "expert_feed_forward_length", 24);
  out.set_u32(prefix + "expert_shared_feed_forward_length", 16);
  out.set_u32(prefix + "expert_gating_func", 2);
}

std::vector<Case> cases() {
  return {
      {"mamba", "mamba", nullptr},
      {"falcon_mamba", "mamba",
       [](auto& out, const auto& prefix) { out.set_bool(prefix + "ssm.dt_b_c_rms", true); }},
      {"mamba2", "mamba2", nullptr},
      {"lfm2", "lfm2", by_turns},
      {"lfm2_window", "lfm2",
       [](auto& out, const auto& prefix) {
         by_turns(out, prefix);
         out.set_u32(prefix + "attention.sliding_window", 4);
       }},
      {"lfm2moe", "lfm2moe", with_experts},
      {"jamba", "jamba", with_experts, "blk.1.ffn_gate_inp.weight"},
      {"granitehybrid", "granitehybrid", with_experts},
      {"falcon_h1", "falcon-h1", nullptr},
      {"nemotron_h", "nemotron_h",
       [](auto& out, const auto& prefix) {
         by_turns(out, prefix);
         out.set_i32_array(prefix + "feed_forward_length", std::vector<int32_t>{0, 0, 48});
       }},
      {"nemotron_h_moe", "nemotron_h_moe",
       [](auto& out, const auto& prefix) {
         with_experts(out, prefix);
         out.set_i32_array(prefix + "feed_forward_length", std::vector<int32_t>{0, 0, 48});
       }},
      {"plamo2", "plamo2", by_turns, "blk.1.attn_qkv.weight"},
  };
}

class Recurrent : public ::testing::TestWithParam<Case> {
 protected:
  Recurrent() { write_model(path_, GetParam()); }
  NativeEngine engine(Numerics numerics, int n_threads) const {
    return {ModelFile::open(path_),
            nullptr,
            {.numerics = numerics},
            std::make_shared<ThreadPool>(n_threads)};
  }
  testing::TempDir dir_;
  std::string path_ = dir_.file("model.gguf");
};

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

TEST_P(Recurrent, CutsAndThreadsChangeNoBit) {
  for (const Numerics numerics : {Numerics::ggml, Numerics::exact}) {
    NativeEngine one = engine(numerics, 1), three = engine(numerics, 3);
    const std::vector<float> whole = logits_of(one, {kIds.size()});
    for (const float logit : whole) ASSERT_TRUE(std::isfinite(logit));
    EXPECT_EQ(whole, logits_of(three, {kIds.size()}));
    EXPECT_EQ(whole, logits_of(three, {1, 2, 9, 1}));
    EXPECT_EQ(whole, logits_of(three, std::vector<size_t>(kIds.size(), 1)));
    EXPECT_EQ(whole, logits_of(three, {kIds.size()}));  // nothing is left of the run before
  }
}

TEST_P(Recurrent, EarlierIdsMatter) {
  NativeEngine engine = this->engine(Numerics::exact, 1);
  const auto last_after = [&](TokenId first) {
    engine.reset(3);
    engine.eval(std::vector<TokenId>{first, 9, 2});
    std::vector<float> logits(static_cast<size_t>(engine.info().n_vocab));
    engine.read_logits(2, 1, logits);
    return logits;
  };
  EXPECT_NE(last_after(5), last_after(6));
}

INSTANTIATE_TEST_SUITE_P(All, Recurrent, ::testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

using Doubles = std::vector<double>;

// One layer of Mamba or Mamba 2 over the ids, token by token in double.
class Reference {
 public:
  Reference(const ModelFile& model, const Arch& arch)
      : config_(read_config(model, arch)), weights_(bind_weights(model, arch, config_)) {}

  Doubles logits() {
    Doubles all;
    for (const TokenId id : kIds) {
      std::vector<float> embedding(kEmbd);
      get_row(weights_.outside[Role::token_embd].matrix, id, embedding.data());
      Doubles x(embedding.begin(), embedding.end());
      const Doubles out = layer(norm(x, weights_.layers[0][Role::attn_norm].vector));
      for (size_t i = 0; i < x.size(); ++i) x[i] += out[i];
      const Doubles row = times(weights_.outside[Role::output],
                                norm(x, weights_.outside[Role::output_norm].vector));
      all.insert(all.end(), row.begin(), row.end());
    }
    return all;
  }

 private:
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

  Doubles convolved(const Doubles& in) {
    const Weight& w = weights_.layers[0][Role::ssm_conv1d];
    const auto n_conv = static_cast<size_t>(config_.recurrent.n_conv);
    past_.push_back(in);
    Doubles out(in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      for (size_t back = 0; back < std::min(n_conv, past_.size()); ++back) {
        out[i] += past_[past_.size() - 1 - back][i] * w.vector[i * n_conv + n_conv - 1 - back];
      }
      out[i] = silu(out[i] + w.bias[i]);
    }
    return out;
  }

  Doubles layer(const Doubles& in) {
    const WeightsByRole& w = weights_.layers[0];
    const RecurrentConfig& c = config_.recurrent;
    const bool is_mamba2 = config_.arch == "mamba2";
    const auto n_inner = static_cast<size_t>(c.n_inner), n_state = static_cast<size_t>(c.n_state);
    const auto n_heads = static_cast<size_t>(c.n_heads), n_groups = static_cast<size_t>(c.n_groups);
    const auto n_channels = static_cast<size_t>(c.n_channels), n_dt = static_cast<size_t>(c.n_dt);
    const Doubles all = times(w[Role::ssm_in], in);
    const Doubles z = part(all, is_mamba2 ? 0 : n_inner, n_inner);
    const Doubles conv = convolved(part(all, is_mamba2 ? n_inner : 0, n_channels));
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
      dt = times(w[Role::ssm_dt], part(parameters, 0, n_dt));
    }
    state_.resize(n_inner * n_state);
    Doubles y(n_inner);
    for (size_t i = 0; i < n_inner; ++i) {
      const size_t head = i / (n_inner / n_heads), group = head / (n_heads / n_groups);
      const double step = std::log1p(std::exp(dt[head]));
      for (size_t k = 0; k < n_state; ++k) {
        const double a = w[Role::ssm_a].vector[is_mamba2 ? head : i * n_state + k];
        double& s = state_[i * n_state + k];
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
  std::vector<Doubles> past_;
  Doubles state_;
};

TEST(Scan, IsAsTheFormulaSays) {
  const testing::TempDir dir;
  for (const char* name : {"mamba", "mamba2"}) {
    const std::string path = dir.file(name);
    write_model(path, {name, name, [](GgufWriter& out, const std::string& prefix) {
                         out.set_u32(prefix + "block_count", 1);
                       }});
    const std::shared_ptr<const ModelFile> model = ModelFile::open(path);
    NativeEngine engine(model, nullptr, {.numerics = Numerics::exact},
                        std::make_shared<ThreadPool>(1));
    const std::vector<float> found = logits_of(engine, {4, kIds.size() - 4});
    const Doubles expected = Reference(*model, *find_arch(name)).logits();
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-5) << name;
  }
}

}  // namespace
}  // namespace crossval
