// Matmul speed per format, arithmetic and number of tokens. Counters: GMAC/s in all, and
// bytes of stored weights read per second. SmolLM2-135M's shapes unless said otherwise.
// Threads: CROSSVAL_BENCH_THREADS (default 1).
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/half.h"
#include "quant/matmul.h"

namespace crossval {
namespace {

int n_threads() {
  const char* text = std::getenv("CROSSVAL_BENCH_THREADS");
  return text != nullptr ? std::atoi(text) : 1;
}

struct Matrix {
  Matrix(const Format& format, int64_t n_rows, int64_t row_len) {
    TensorView tensor;
    tensor.type = format.type;
    tensor.shape = {row_len, n_rows};
    bytes.resize(static_cast<size_t>(*tensor_bytes(format.type, tensor.shape)));
    // Bytes whose f16 and f32 readings are all small finite numbers.
    std::mt19937 random(1);
    for (auto& b : bytes) b = static_cast<std::byte>(0x10 + (random() & 0x0f));
    tensor.data = bytes;
    view = weight_view(tensor);
  }
  std::vector<std::byte> bytes;
  WeightView view;
};

void run_matmul(benchmark::State& state, const Format& format, Numerics numerics, int64_t n_rows,
                int64_t row_len, int64_t n_tokens) {
  const Matrix w(format, n_rows, row_len);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(n_tokens * row_len));
  for (float& v : x) v = normal(random);
  std::vector<float> y(static_cast<size_t>(n_tokens * n_rows));
  ThreadPool pool(n_threads());
  for (auto _ : state) {
    matmul(w.view, x.data(), row_len, n_tokens, y.data(), n_rows, numerics, pool);
    benchmark::DoNotOptimize(y.data());
  }
  const auto per_run = static_cast<double>(n_rows * row_len * n_tokens);
  state.counters["GMAC/s"] =
      benchmark::Counter(per_run * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = benchmark::Counter(static_cast<double>(w.bytes.size()) * 1e-9,
                                              benchmark::Counter::kIsIterationInvariantRate);
}

// Every matmul of SmolLM2-135M in its order (30 layers; q, k, v and gate, up share their rounded
// input; output matrix Q8_0): what is left of a prompt's time without attention and norms.
void run_smollm2(benchmark::State& state, const Format& format, Numerics numerics,
                 int64_t n_tokens) {
  constexpr int64_t kEmbd = 576, kKv = 192, kFf = 1536, kVocab = 49152;
  constexpr int kLayers = 30;
  struct Layer {
    Matrix q, k, v, o, gate, up, down;
  };
  std::vector<Layer> layers;
  layers.reserve(kLayers);
  for (int i = 0; i < kLayers; ++i) {
    layers.push_back({Matrix(format, kEmbd, kEmbd), Matrix(format, kKv, kEmbd),
                      Matrix(format, kKv, kEmbd), Matrix(format, kEmbd, kEmbd),
                      Matrix(format, kFf, kEmbd), Matrix(format, kFf, kEmbd),
                      Matrix(format, kEmbd, kFf)});
  }
  const Matrix output(*find_format(GgmlType::Q8_0), kVocab, kEmbd);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> x(static_cast<size_t>(n_tokens * kFf));
  for (float& v : x) v = normal(random);
  std::vector<float> y(static_cast<size_t>(n_tokens * kFf));
  std::vector<float> logits(static_cast<size_t>(std::min<int64_t>(n_tokens, 64) * kVocab));
  ThreadPool pool(n_threads());
  PreparedActivations a;
  const auto with = [&](const Matrix& w) { matmul(w.view, a, y.data(), w.view.n_rows, pool); };
  const auto prepare = [&](int64_t row_len, const Format& f, int64_t n) {
    prepare_activations(x.data(), row_len, n, row_len, f, numerics, a, pool);
  };
  for (auto _ : state) {
    for (const Layer& layer : layers) {
      prepare(kEmbd, format, n_tokens);
      with(layer.q);
      with(layer.k);
      with(layer.v);
      prepare(kEmbd, format, n_tokens);
      with(layer.o);
      prepare(kEmbd, format, n_tokens);
      with(layer.gate);
      with(layer.up);
      prepare(kFf, format, n_tokens);
      with(layer.down);
    }
    for (int64_t t = 0; t < n_tokens; t += 64) {
      prepare(kEmbd, *output.view.format, std::min<int64_t>(64, n_tokens - t));
      matmul(output.view, a, logits.data(), kVocab, pool);
    }
    benchmark::DoNotOptimize(logits.data());
  }
  state.counters["tok/s"] = benchmark::Counter(static_cast<double>(n_tokens),
                                               benchmark::Counter::kIsIterationInvariantRate);
}

void add_smollm2(const Format& format, Numerics numerics, int64_t n_tokens) {
  const std::string name =
      "SmolLM2/" + std::string(find_type(static_cast<uint32_t>(format.type))->name) +
      (numerics == Numerics::exact ? "/exact" : "/ggml") + "/tokens:" + std::to_string(n_tokens);
  benchmark::RegisterBenchmark(
      name.c_str(),
      [=, &format](benchmark::State& state) { run_smollm2(state, format, numerics, n_tokens); })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

void add(const Format& format, Numerics numerics, int64_t n_rows, int64_t row_len,
         int64_t n_tokens) {
  const std::string name = std::string(find_type(static_cast<uint32_t>(format.type))->name) +
                           (numerics == Numerics::exact ? "/exact/" : "/ggml/") +
                           std::to_string(n_rows) + "x" + std::to_string(row_len) +
                           "/tokens:" + std::to_string(n_tokens);
  benchmark::RegisterBenchmark(name.c_str(),
                               [=, &format](benchmark::State& state) {
                                 run_matmul(state, format, numerics, n_rows, row_len, n_tokens);
                               })
      ->UseRealTime()
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace
}  // namespace crossval

int main(int argc, char** argv) {
  using namespace crossval;
  for (const Format* format : all_formats()) {
    for (const Numerics numerics : {Numerics::ggml, Numerics::exact}) {
      for (const int64_t n_tokens : {1, 512}) {
        // 576 is no multiple of 128, so no K-quant (or I2_S) of SmolLM2 has such rows.
        add(*format, numerics, 1536, format->block_len >= 128 ? 768 : 576, n_tokens);
        add(*format, numerics, 576, 1536, n_tokens);
      }
      add(*format, numerics, 49152, format->block_len >= 128 ? 768 : 576, 1);
    }
  }
  for (const Numerics numerics : {Numerics::ggml, Numerics::exact}) {
    for (const int64_t n_tokens : {1, 512}) {
      add_smollm2(*find_format(GgmlType::Q4_1), numerics, n_tokens);
      add_smollm2(*find_format(GgmlType::Q8_0), numerics, n_tokens);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
