// A tap's sources, checked before anything is computed with them. What makes no sense is thrown as
// Unreplayable, which only replay() catches.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/parallel.h"
#include "engine/tap.h"
#include "quant/matmul.h"
#include "replay/replay.h"

namespace crossval {

struct Unreplayable {
  ReplayStatus status;
  std::string reason;
};

// Throws bad_shape with the reason unless `ok`.
void require_shape(bool ok, const char* reason);

class Inputs {
 public:
  // `out` for its shape, type and name. Both must outlive this.
  Inputs(const Operation& operation, const TapTensor& out, const WeightSource& weights,
         ThreadPool& pool);

  const Operation& operation() const { return operation_; }
  const TapTensor& out() const { return out_; }
  ThreadPool& pool() const { return pool_; }
  float param_f32(size_t i) const { return std::bit_cast<float>(operation_.params[i]); }
  int32_t param_i32(size_t i) const { return operation_.params[i]; }

  bool has(size_t i) const;
  const TapTensor& source(size_t i) const;  // missing_data when it is not there
  // All of a source as floats: its own where it is of floats, else kept for the next call.
  std::span<const float> floats(size_t i);
  std::vector<int64_t> indices(size_t i) const;  // of I32 or I64
  // A source in its stored form: all its rows, ne[1] * ne[2] * ne[3] of them.
  WeightView matrix(size_t i) const;
  // Of matrix(i); kept with the weights where it is one.
  std::vector<float> row_norms(size_t i);
  // The engine has this weight as it was before the file's type rounded it.
  bool is_before_rounding(size_t i) const;

 private:
  std::span<const std::byte> stored(size_t i) const;
  const Operation& operation_;
  const TapTensor& out_;
  const WeightSource& weights_;
  ThreadPool& pool_;
  std::vector<std::vector<float>> floats_;
};

// What an operation must give under one of its admissible arithmetics, and the size of the rounding
// errors: sigma is what a large but ordinary error (root mean square over many elements) comes to.
struct Recomputed {
  const char* arithmetic = "f32";
  std::vector<float> expected, sigma;
  void resize(int64_t n) {
    expected.resize(static_cast<size_t>(n));
    sigma.resize(static_cast<size_t>(n));
  }
  void set(int64_t i, double value, double error) {
    expected[static_cast<size_t>(i)] = static_cast<float>(value);
    sigma[static_cast<size_t>(i)] = static_cast<float>(error);
  }
};

// Half a unit in the last place of a value in [1, 2): the largest relative error of one rounding.
inline constexpr double kUnit32 = 0x1p-24, kUnit16 = 0x1p-11, kUnitBf16 = 0x1p-8;

}  // namespace crossval
