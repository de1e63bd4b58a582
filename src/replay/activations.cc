// Unary functions and gated linear units (ggml-cpu/unary-ops.cpp, vec.h, ops.cpp
// `ggml_compute_forward_*glu*`), recomputed in double. Engines use polynomials or libm in f32; old
// ones, and GELU on x86 to this day, a table of half floats indexed by the input as a half float.
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <span>
#include <string_view>

#include "base/half.h"
#include "replay/families.h"
#include "replay/matmul.h"
#include "replay/mixture.h"

namespace crossval {
namespace {

// A value and the size of its rounding errors in units of kUnit32.
struct Value {
  double y, error;
};

// Parameters of the operation: unary ones hold their number at 0, LEAKY_RELU its slope.
using Params = std::array<int32_t, 16>;

double param(const Params& p, size_t i) { return std::bit_cast<float>(p[i]); }

// What libm and the polynomials of ggml make of a function: about 1.5 units of the result.
Value computed(double y) { return {y, 1.5 * std::fabs(y)}; }
Value exact(double y) { return {y, 0}; }

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// x / (1 + e^(-ax)), as ggml computes it. In f32 the exponential becomes infinite where its
// argument passes 88.7 (some polynomials a little earlier), and the quotient 0, while x e^(ax) is
// still a normal number.
Value silu_of(double x, double a = 1) {
  const double y = x * sigmoid(a * x);
  return -a * x > 88 ? Value{y, std::fabs(y) / kUnit32} : computed(y);
}

// ggml-cpu/vec.h `ggml_gelu_f32`; 1 + tanh cancels for negative x.
Value gelu_of(double x) {
  const double inner = 0.79788456080286535587989211986876 * x * (1 + 0.044715 * x * x);
  const double t = std::tanh(inner);
  return {0.5 * x * (1 + t), 1.5 * std::fabs(0.5 * x * (1 + t)) +
                                 std::fabs(0.5 * x) * (1 + 2 * std::fabs(inner) * (1 - t * t))};
}

Value gelu_erf_of(double x) {
  const double e = std::erf(x / std::numbers::sqrt2);
  return {0.5 * x * (1 + e), std::fabs(0.5 * x * (1 + e)) + 1.5 * std::fabs(0.5 * x)};
}

Value gelu_quick_of(double x) {
  Value value = silu_of(x, 1.702);
  value.error += (0.5 + std::fabs(1.702 * x)) * std::fabs(value.y);  // exp's argument is rounded
  return value;
}

struct Function {
  std::string_view name;
  Value (*of)(double x, const Params& p);
};

// ggml-cpu/unary-ops.cpp `op_xielu`; parameters: 1 alpha below 0, 2 above, 3 beta, 4 eps.
Value xielu_of(double x, const Params& p) {
  const double linear = param(p, 3) * x;
  if (x > 0) {
    const double square = param(p, 2) * x * x;
    return {square + linear,
            std::fabs(square) + 0.5 * (std::fabs(linear) + std::fabs(square + linear))};
  }
  const double e = std::expm1(std::min(x, param(p, 4))), inner = e - x, alpha = param(p, 1);
  return {inner * alpha + linear,
          std::fabs(alpha) * (1.5 * std::fabs(e) + std::fabs(inner)) +
              0.5 * (std::fabs(linear) + std::fabs(inner * alpha + linear))};
}

double hard_step(double x) { return std::min(1.0, std::max(0.0, (x + 3) / 6)); }

constexpr Function kFunctions[] = {
    {"SILU", [](double x, const Params&) { return silu_of(x); }},
    {"RELU", [](double x, const Params&) { return exact(x > 0 ? x : 0); }},
    // Not an operation of ggml: what expectations.cc puts where a model wants relu^2.
    {"RELU_SQUARED", [](double x, const Params&) { return computed(x > 0 ? x * x : 0); }},
    {"GELU", [](double x, const Params&) { return gelu_of(x); }},
    {"GELU_ERF", [](double x, const Params&) { return gelu_erf_of(x); }},
    {"GELU_QUICK", [](double x, const Params&) { return gelu_quick_of(x); }},
    {"SIGMOID", [](double x, const Params&) { return computed(sigmoid(x)); }},
    {"TANH", [](double x, const Params&) { return computed(std::tanh(x)); }},
    {"EXP", [](double x, const Params&) { return computed(std::exp(x)); }},
    {"EXPM1",  // e^x - 1 in f32 in ggml
     [](double x, const Params&) {
       return Value{std::expm1(x), 1.5 * std::exp(x) + 0.5};
     }},
    {"ELU",
     [](double x, const Params&) {
       return x > 0 ? exact(x) : Value{std::expm1(x), 1.5 * std::exp(x) + 0.5};
     }},
    {"SOFTPLUS",
     [](double x, const Params&) {
       const double y = x > 20 ? x : std::log1p(std::exp(x));
       return Value{y, x > 20 ? 1.0 : 1.5 * y + 1.0};
     }},
    {"SQR", [](double x, const Params&) { return computed(x * x); }},
    {"SQRT", [](double x, const Params&) { return computed(std::sqrt(x)); }},
    {"LOG",
     [](double x, const Params&) {
       return Value{std::log(x), 1.5 * std::fabs(std::log(x)) + 1e-3};
     }},
    {"SIN", [](double x, const Params&) { return computed(std::sin(x)); }},
    {"COS", [](double x, const Params&) { return computed(std::cos(x)); }},
    {"ABS", [](double x, const Params&) { return exact(std::fabs(x)); }},
    {"NEG", [](double x, const Params&) { return exact(-x); }},
    {"SGN", [](double x, const Params&) { return exact(x > 0   ? 1
                                                       : x < 0 ? -1
                                                               : 0); }},
    {"STEP", [](double x, const Params&) { return exact(x > 0 ? 1 : 0); }},
    {"HARDSIGMOID",
     [](double x, const Params&) {
       return Value{hard_step(x), 1.5};
     }},
    {"HARDSWISH",
     [](double x, const Params&) {
       return Value{x * hard_step(x), 1.5 * std::fabs(x)};
     }},
    {"ROUND", [](double x, const Params&) { return exact(std::round(x)); }},
    {"FLOOR", [](double x, const Params&) { return exact(std::floor(x)); }},
    {"CEIL", [](double x, const Params&) { return exact(std::ceil(x)); }},
    {"TRUNC", [](double x, const Params&) { return exact(std::trunc(x)); }},
    {"XIELU", xielu_of},
    {"LEAKY_RELU",
     [](double x, const Params& p) { return x > 0 ? exact(x) : computed(x * param(p, 0)); }},
};

const Function* find_function(std::string_view name) {
  for (const Function& function : kFunctions) {
    if (function.name == name) return &function;
  }
  return nullptr;
}

// The functions that some builds read from a table.
bool has_table(std::string_view name) {
  return name == "GELU" || name == "GELU_QUICK" || name == "SILU";
}

// The table's entry for x. The engine's own f32 function, which filled it, may land on the other
// side of a rounding boundary of the table; and where 1 + tanh cancels it is off by more than the
// steps of half floats near 0, 2^-24.
Value from_table(const Function& function, double x, const Params& p) {
  if (function.name == "GELU" && (x <= -10 || x >= 10)) return exact(x <= -10 ? 0 : x);
  const double half = f16_to_f32(f32_to_f16(static_cast<float>(x)));
  const Value computed = function.of(half, p);
  const double y = f16_to_f32(f32_to_f16(static_cast<float>(computed.y)));
  constexpr double kHalfOverFloat = kUnit16 / kUnit32;
  return {y, computed.error + kHalfOverFloat * 0.5 * std::max(std::fabs(y), 0x1p-14)};
}

Value value_of(const Function& function, double x, const Params& p, int variant) {
  return variant == 0 ? function.of(x, p) : from_table(function, x, p);
}

void set(Recomputed& out, int64_t i, const Value& value) {
  // 0.5 for the rounding of `expected` itself.
  out.set(i, value.y, kUnit32 * (value.error + 0.5 * std::fabs(value.y)));
}

// The function that a gated unit applies to its gate; "" = the operation is none.
struct Glu {
  std::string_view name, function;
};
constexpr Glu kGlus[] = {
    {"SWIGLU", "SILU"},        {"GEGLU", "GELU"},
    {"GEGLU_ERF", "GELU_ERF"}, {"GEGLU_QUICK", "GELU_QUICK"},
    {"REGLU", "RELU"},         {"RELU_SQUARED_GLU", "RELU_SQUARED"},
    {"SWIGLU_OAI", "SILU"},    {"SWIGLU_CLAMP", "SILU"},
};

// ggml.h `enum ggml_unary_op` of ik_llama.cpp, parameter 0 of FUSED_MUL_UNARY.
std::string_view fused_function(int32_t unary) {
  switch (unary) {
    case 6:
      return "RELU";
    case 8:
      return "GELU_ERF";
    case 10:
      return "SILU";
    case 15:
      return "GELU";
    default:
      return "";
  }
}

std::string_view gate_function(const Inputs& in) {
  const std::string& op = in.operation().op;
  if (op == "FUSED_MUL_UNARY" || op.ends_with("FUSED_UP_GATE")) {
    return fused_function(in.param_i32(0));
  }
  for (const Glu& glu : kGlus) {
    if (glu.name == in.operation().op) return glu.function;
  }
  return "";
}

}  // namespace

bool replay_unary(Inputs& in, int variant, Recomputed& out) {
  const Function* function = find_function(in.operation().op);
  if (function == nullptr) throw Unreplayable{ReplayStatus::unknown_op, in.operation().op};
  if (variant > (has_table(function->name) ? 1 : 0)) return false;
  require_shape(in.source(0).ne == in.out().ne, "the function keeps the shape");
  out.arithmetic = variant == 0 ? "f32" : "f16 table";
  const std::span<const float> x = in.floats(0);
  out.resize(in.out().n_elements());
  in.pool().run(in.out().n_rows(), [&](int64_t r, int) {
    for (int64_t i = r * in.out().ne[0]; i < (r + 1) * in.out().ne[0]; ++i) {
      set(out, i, value_of(*function, x[static_cast<size_t>(i)], in.operation().params, variant));
    }
  });
  return true;
}

// One source: both halves of each row, the gate first unless swapped (parameter 1). Two: gate, up.
bool replay_glu(Inputs& in, int variant, Recomputed& out) {
  const Function* function = find_function(gate_function(in));
  if (function == nullptr) {
    throw Unreplayable{ReplayStatus::unknown_op, "a gate function that is not replayed"};
  }
  const std::string& op = in.operation().op;
  const bool is_oai = op == "SWIGLU_OAI", clamps = is_oai || op == "SWIGLU_CLAMP";
  if (variant > (has_table(function->name) && !clamps ? 1 : 0)) return false;
  out.arithmetic = variant == 0 ? "f32" : "f16 table";
  const TapTensor &a = in.source(0), &y = in.out();
  const bool is_split = in.has(1);
  const int64_t n = y.ne[0];
  require_shape(a.ne[0] == (is_split ? n : 2 * n) && a.n_rows() == y.n_rows() &&
                    (!is_split || in.source(1).ne == a.ne),
                "gate and up do not fit the result");
  const std::span<const float> gate = in.floats(0), up = in.floats(is_split ? 1 : 0);
  const bool swapped = op != "FUSED_MUL_UNARY" && in.param_i32(1) != 0;
  const int64_t gate_at = !is_split && swapped ? n : 0, up_at = !is_split && !swapped ? n : 0;
  const double alpha = is_oai ? in.param_f32(2) : 1, limit = clamps ? in.param_f32(3) : 0;
  out.resize(y.n_elements());
  in.pool().run(y.n_rows(), [&](int64_t r, int) {
    for (int64_t i = 0; i < n; ++i) {
      double g = gate[static_cast<size_t>(r * a.ne[0] + gate_at + i)];
      double u = up[static_cast<size_t>(r * a.ne[0] + up_at + i)];
      Value f;
      if (clamps) {
        g = std::min(g, limit);
        u = std::clamp(u, -limit, limit) + (is_oai ? 1 : 0);
        f = silu_of(g, alpha);
        f.error += std::fabs(f.y) * (1 + (is_oai ? std::fabs(alpha * g) : 0));
      } else {
        f = value_of(*function, g, in.operation().params, variant);
      }
      set(out, r * n + i, {f.y * u, f.error * std::fabs(u) + 0.5 * std::fabs(f.y * u)});
    }
  });
  return true;
}

namespace {

// f(gate) * up, where `out` holds up.
void gate_with(const Function& function, const Recomputed& of_gate,
               const std::array<int32_t, 16>& params, Recomputed& out) {
  constexpr double kSteepest = 1.13;  // slope of all gate functions but the squared ones
  for (size_t i = 0; i < out.expected.size(); ++i) {
    const Value f = value_of(function, of_gate.expected[i], params, 0);
    const double u = out.expected[i];
    const double of_f = kSteepest * double{of_gate.sigma[i]} + kUnit32 * f.error;
    out.set(
        static_cast<int64_t>(i), f.y * u,
        of_f * std::fabs(u) + std::fabs(f.y) * double{out.sigma[i]} + kUnit32 * std::fabs(f.y * u));
  }
}

}  // namespace

// ik_llama.cpp: f(gate x) * (up x) in one operation. Sources: 0 up, 1 gate, 2 x.
bool replay_fused_up_gate(Inputs& in, int variant, Recomputed& out) {
  const Function* function = find_function(gate_function(in));
  if (function == nullptr) {
    throw Unreplayable{ReplayStatus::unknown_op, "a gate function that is not replayed"};
  }
  const TapTensor &x = in.source(2), &y = in.out();
  const WeightView up = in.matrix(0), gate = in.matrix(1);
  require_shape(x.ne[0] > 0 && in.source(0).ne == in.source(1).ne && up.row_len == x.ne[0] &&
                    up.n_rows == y.ne[0] && x.n_rows() == y.n_rows() &&
                    x.ne[0] % up.format->block_len == 0,
                "up, gate and input do not fit each other");
  out.arithmetic = product_arithmetic(*up.format, variant);
  if (out.arithmetic == nullptr || up.format != gate.format) return false;
  Recomputed of_gate;
  out.resize(y.n_elements());
  of_gate.resize(y.n_elements());
  const std::span<const float> values = in.floats(2);
  const auto product = [&](const WeightView& w, size_t source, Recomputed& to) {
    const std::vector<float> norms = in.row_norms(source);
    multiply({.w = w,
              .w_norms = norms,
              .x = values.data(),
              .x_stride = x.ne[0],
              .n_tokens = x.n_rows(),
              .y = to.expected.data(),
              .sigma = to.sigma.data(),
              .y_stride = y.ne[0]},
             variant, in.pool());
  };
  product(up, 0, out);
  product(gate, 1, of_gate);
  gate_with(*function, of_gate, in.operation().params, out);
  return true;
}

// The same for the experts chosen. Sources: 0 up, 1 gate, 2 x, 3 ids.
bool replay_moe_fused_up_gate(Inputs& in, int variant, Recomputed& out) {
  const Function* function = find_function(gate_function(in));
  if (function == nullptr || in.param_f32(1) != 0) {
    throw Unreplayable{ReplayStatus::unknown_op, "a gate function that is not replayed"};
  }
  require_shape(in.source(0).ne == in.source(1).ne && !in.has(4) && !in.has(5),
                "up and gate do not fit, or have biases");
  Recomputed of_gate;
  if (!multiply_routed(in, {.weights = 0, .x = 2, .ids = 3}, variant, out) ||
      !multiply_routed(in, {.weights = 1, .x = 2, .ids = 3}, variant, of_gate)) {
    return false;
  }
  gate_with(*function, of_gate, in.operation().params, out);
  return true;
}

}  // namespace crossval
