// The worker's settings (--backend-opt K=V): one table of names, meanings and parsers. Defaults
// are the most reproducible profile an engine has.
#pragma once

#include <map>
#include <string>

namespace crossval::llama {

struct Settings {
  int flash_attn = 0;                // -1 auto, 0 off, 1 on
  std::string kv_type_k = "widest";  // a ggml type name, or "widest": f32, f16 where refused
  std::string kv_type_v = "widest";
  bool extra_bufts = false;  // repacked weights, AMX
  bool mmap = true;
  int ubatch = 0;             // 0 = the whole prompt in one
  int n_ctx = 0;              // 0 = as many as will be evaluated
  float rope_freq_base = 0;   // 0 = the model's own
  float rope_freq_scale = 0;  // 0 = the model's own
  bool check_tensors = false;
};

// Throws bad_input for an unknown key or a value that cannot be used, listing what is known.
Settings parse_settings(const std::map<std::string, std::string>& values);

}  // namespace crossval::llama
