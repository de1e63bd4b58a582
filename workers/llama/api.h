// One spelling for the llama.h calls that differ between API eras (docs/protocol.md: eras).
// Everything is decided at compile time against the headers of the engine the worker loads:
// parameter structs go by value, so a worker is only right for the headers it was built with.
//
// Names an era lacks are found by argument-dependent lookup when a template is instantiated,
// hence the template parameters that look superfluous.
#pragma once

#include <llama.h>

#include <string>
#include <type_traits>

// Absent in older engines: a null pointer there. llama.cpp include/llama.h, ggml-backend.h.
extern "C" {
__attribute__((weak)) const char* llama_version(void);
__attribute__((weak)) void ggml_backend_load_all_from_path(const char* dir_path);
}

namespace crossval::llama {

template <typename Params>
llama_model* load_model(const char* path, Params params) {
  if constexpr (requires { llama_model_load_from_file(path, params); }) {
    return llama_model_load_from_file(path, params);
  } else {
    return llama_load_model_from_file(path, params);
  }
}

template <typename Model>
void free_model(Model* model) {
  if constexpr (requires { llama_model_free(model); }) {
    llama_model_free(model);
  } else {
    llama_free_model(model);
  }
}

template <typename Model, typename Params>
llama_context* new_context(Model* model, Params params) {
  if constexpr (requires { llama_init_from_model(model, params); }) {
    return llama_init_from_model(model, params);
  } else {
    return llama_new_context_with_model(model, params);
  }
}

// What the tokenizer functions take: the vocabulary since 2025, the model before. ik_llama.cpp
// has the vocabulary type and still tokenises by model.
template <typename Model>
auto vocabulary(const Model* model) {
  if constexpr (requires { llama_model_get_vocab(model); }) {
    return llama_model_get_vocab(model);
  } else {
    return model;
  }
}

template <typename Model>
int n_vocab(const Model* model) {
  if constexpr (requires { llama_vocab_n_tokens(vocabulary(model)); }) {
    return llama_vocab_n_tokens(vocabulary(model));
  } else {
    return llama_n_vocab(model);
  }
}

template <typename Model>
int n_ctx_train(const Model* model) {
  if constexpr (requires { llama_model_n_ctx_train(model); }) {
    return llama_model_n_ctx_train(model);
  } else {
    return llama_n_ctx_train(model);
  }
}

template <typename Model>
int tokenize(const Model* model, const std::string& text, llama_token* out, int capacity,
             bool add_special, bool parse_special) {
  const int n_bytes = static_cast<int>(text.size());
  const auto* vocab = vocabulary(model);
  if constexpr (requires { llama_tokenize(vocab, text.data(), 0, out, 0, true, true); }) {
    return llama_tokenize(vocab, text.data(), n_bytes, out, capacity, add_special, parse_special);
  } else {
    return llama_tokenize(model, text.data(), n_bytes, out, capacity, add_special, parse_special);
  }
}

// lstrip = 0, special = true: the bytes as they are, special tokens as written.
template <typename Model>
int token_to_piece(const Model* model, llama_token id, char* out, int capacity) {
  const auto* vocab = vocabulary(model);
  if constexpr (requires { llama_token_to_piece(vocab, id, out, capacity, 0, true); }) {
    return llama_token_to_piece(vocab, id, out, capacity, 0, true);
  } else {
    return llama_token_to_piece(model, id, out, capacity, 0, true);
  }
}

template <typename Model>
llama_token bos_id(const Model* model) {
  const auto* vocab = vocabulary(model);
  if constexpr (requires { llama_vocab_bos(vocab); }) {
    return llama_vocab_bos(vocab);
  } else {
    return llama_token_bos(model);
  }
}

// bool in llama.cpp, a three-valued int (-1 = unknown) in some older ones.
template <typename Model>
bool adds_bos(const Model* model) {
  const auto* vocab = vocabulary(model);
  if constexpr (requires { llama_vocab_get_add_bos(vocab); }) {
    return static_cast<int>(llama_vocab_get_add_bos(vocab)) == 1;
  } else {
    return static_cast<int>(llama_add_bos_token(model)) == 1;
  }
}

template <typename Context>
void clear_kv(Context* context) {
  if constexpr (requires { llama_memory_clear(llama_get_memory(context), true); }) {
    llama_memory_clear(llama_get_memory(context), true);
  } else if constexpr (requires { llama_kv_self_clear(context); }) {
    llama_kv_self_clear(context);
  } else {
    llama_kv_cache_clear(context);
  }
}

// The era, told by what the headers offer; for the receipt and `crossval backends`.
template <typename Model, typename Context>
const char* api_era() {
  if constexpr (requires(Context * context) { llama_get_memory(context); }) {
    return "llama.h with llama_memory_t and llama_vocab (2025 on)";
  } else if constexpr (requires(Model * model) { llama_model_free(model); }) {
    return "llama.h with llama_vocab, KV cache calls (early 2025)";
  } else if constexpr (requires(const Model* model) { llama_model_get_vocab(model); }) {
    return "llama.h of ik_llama.cpp (llama_vocab beside calls by model)";
  } else {
    return "llama.h with calls by model (2024; bitnet.cpp)";
  }
}

template <typename Params>
void set_flash_attn(Params& params, int mode) {  // -1 auto, 0 off, 1 on
  if constexpr (requires { params.flash_attn_type; }) {
    // enum llama_flash_attn_type: AUTO = -1, DISABLED = 0, ENABLED = 1.
    params.flash_attn_type = static_cast<decltype(params.flash_attn_type)>(mode);
  } else {
    params.flash_attn = mode == 1;
  }
}

template <typename Params>
void set_mmap(Params& params, bool on) {
  if constexpr (requires { params.use_mmap; }) {
    params.use_mmap = on;
  } else {
    // enum llama_load_mode: NONE = 0, MMAP = 1.
    params.load_mode = static_cast<decltype(params.load_mode)>(on ? 1 : 0);
  }
}

// Repacked weights and AMX: other arithmetic than the plain kernels. false = cannot be chosen.
template <typename Params>
bool set_extra_bufts(Params& params, bool on) {
  if constexpr (requires { params.use_extra_bufts; }) {
    params.use_extra_bufts = on;
    return true;
  } else if constexpr (requires { params.repack_tensors; }) {  // ik_llama.cpp
    params.repack_tensors = on;
    return true;
  } else {
    return false;
  }
}

// ik_llama.cpp wants to know when it loads the model what the context will be like.
template <typename Params>
void set_flash_attn_for_load(Params& params, int mode) {
  if constexpr (requires { params.flash_attn; }) {
    params.flash_attn = mode == 1;
  }
}

// No accelerator, also where one is built in: an empty, null-terminated list of devices.
template <typename Params>
void set_cpu_only(Params& params) {
  params.n_gpu_layers = 0;
  // ik_llama.cpp has a text of that name, which stays empty.
  if constexpr (requires { **params.devices; }) {
    static std::remove_pointer_t<decltype(params.devices)> none[] = {nullptr};
    params.devices = none;
  }
}

template <typename Params>
void set_cpu_only_context(Params& params) {
  params.offload_kqv = false;
  if constexpr (requires { params.op_offload; }) {
    params.op_offload = false;
  }
}

}  // namespace crossval::llama
