// Matmul speed per format, arithmetic and number of tokens. Counters: GMAC/s in all, and
// bytes of stored weights read per second. SmolLM2-135M's shapes unless said otherwise.
// Threads: CROSSVAL_BENCH_THREADS (default 1).
#include <benchmark/benchmark.h>

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
    const int64_t row_bytes = row_len / format.block_len * format.block_bytes;
    bytes.resize(static_cast<size_t>(n_rows * row_bytes));
    // Bytes whose f16 and f32 readings are all small finite numbers.
    std::mt19937 random(1);
    for (auto& b : bytes) b = static_cast<std::byte>(0x10 + (random() & 0x0f));
    view = {&format, bytes.data(), n_rows, row_len, row_bytes};
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
        // 576 is no multiple of 256, so no K-quant of SmolLM2 has such rows.
        add(*format, numerics, 1536, format->block_len == 256 ? 768 : 576, n_tokens);
        add(*format, numerics, 576, 1536, n_tokens);
      }
      add(*format, numerics, 49152, format->block_len == 256 ? 768 : 576, 1);
    }
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
