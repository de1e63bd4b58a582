// Stands between an engine and its ggml (LD_PRELOAD in a worker) while graphs are built, and leaves
// out, repeats or adds one operation: a graph that is really computed so, with a fault that no
// operation shows by itself. CROSSVAL_GRAPH_FAULT="tanh 1 drop": the second TANH of a graph.
// "drop": its first input instead; "twice": on its own result again; "scale": times 1.01 behind it.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

// As ggml.h has them; nothing here looks inside.
struct ggml_context;
struct ggml_tensor;
struct ggml_cgraph;

namespace {

using Context = ggml_context*;
using Tensor = ggml_tensor*;

struct Fault {
  char op[32] = "", action[32] = "";
  int index = -1;
};

const Fault& fault() {
  static const Fault one = [] {
    Fault read;
    const char* text = std::getenv("CROSSVAL_GRAPH_FAULT");
    if (text != nullptr) {
      (void)std::sscanf(text, "%31s %d %31s", read.op, &read.index, read.action);
    }
    return read;
  }();
  return one;
}

// How many of each operation the graph at hand has so far.
std::map<std::string, int>& counts() {
  static std::map<std::string, int> of_graph;
  return of_graph;
}

// What to do with this call: "" = nothing.
std::string action(const char* op) {
  const int index = counts()[op]++;
  return index == fault().index && std::strcmp(op, fault().op) == 0 ? fault().action : "";
}

template <typename Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

using Scale = Tensor(Context, Tensor, float);

template <typename Call>
Tensor faulty(const char* op, Context context, Tensor input, const Call& call) {
  const std::string what = action(op);
  if (what == "drop") return input;
  Tensor result = call(input);
  if (what == "twice") result = call(result);
  if (what == "scale") result = real<Scale>("ggml_scale")(context, result, 1.01f);
  return result;
}

}  // namespace

extern "C" {

ggml_cgraph* ggml_new_graph_custom(Context context, size_t size, bool grads) {
  counts().clear();
  return real<ggml_cgraph*(Context, size_t, bool)>("ggml_new_graph_custom")(context, size, grads);
}

Tensor ggml_add(Context context, Tensor a, Tensor b) {
  static auto* call = real<Tensor(Context, Tensor, Tensor)>("ggml_add");
  return faulty("add", context, a, [&](Tensor input) { return call(context, input, b); });
}

Tensor ggml_tanh(Context context, Tensor a) {
  static auto* call = real<Tensor(Context, Tensor)>("ggml_tanh");
  return faulty("tanh", context, a, [&](Tensor input) { return call(context, input); });
}

Tensor ggml_rms_norm(Context context, Tensor a, float eps) {
  static auto* call = real<Tensor(Context, Tensor, float)>("ggml_rms_norm");
  return faulty("rms_norm", context, a, [&](Tensor input) { return call(context, input, eps); });
}

Tensor ggml_rope_ext(Context context, Tensor a, Tensor positions, Tensor factors, int n_dims,
                     int mode, int n_ctx_orig, float freq_base, float freq_scale, float ext_factor,
                     float attn_factor, float beta_fast, float beta_slow) {
  static auto* call = real<Tensor(Context, Tensor, Tensor, Tensor, int, int, int, float, float,
                                  float, float, float, float)>("ggml_rope_ext");
  return faulty("rope", context, a, [&](Tensor input) {
    return call(context, input, positions, factors, n_dims, mode, n_ctx_orig, freq_base, freq_scale,
                ext_factor, attn_factor, beta_fast, beta_slow);
  });
}

}  // extern "C"
