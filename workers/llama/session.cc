// llama.h behind one face; what differs between its eras is in api.h.
#include "session.h"

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include "api.h"
#include "base/error.h"

namespace crossval::llama {
namespace {

std::mutex complaints_mutex;
struct Complaint {
  std::string line;
  bool is_error;
};
std::deque<Complaint> complaints;  // the engine's last warnings and errors

// While cache types are tried: a refusal is an answer then, not an error of the run.
std::atomic<bool> trying_types = false;

// Lines keep their level (docs/protocol.md), so that a reader of the log sees what was an error.
// The engine may write a line in several pieces.
void on_log(ggml_log_level level, const char* text, void*) {
  static std::atomic<bool> at_line_start = true;
  // Debug lines (hundreds a graph) would push what matters out of the log's tail; a continuation,
  // whose level newer engines mark, belongs to the line before it.
  static std::atomic<bool> is_debug = false;
  is_debug = level == GGML_LOG_LEVEL_DEBUG ||
             (is_debug && level != GGML_LOG_LEVEL_INFO && level != GGML_LOG_LEVEL_WARN &&
              level != GGML_LOG_LEVEL_ERROR);
  if (is_debug) return;
  const size_t n = std::strlen(text);
  if (at_line_start && n > 0) {
    std::fputs(level == GGML_LOG_LEVEL_ERROR && !trying_types ? "error: "
               : level == GGML_LOG_LEVEL_WARN                 ? "warning: "
                                                              : "",
               stderr);
  }
  std::fputs(text, stderr);
  if (n > 0) at_line_start = text[n - 1] == '\n';
  if (level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN) {
    const std::lock_guard lock(complaints_mutex);
    std::string line(text);
    while (!line.empty() && line.back() == '\n') {
      line.pop_back();
    }
    if (!line.empty()) {
      complaints.push_back({line, level == GGML_LOG_LEVEL_ERROR});
    }
    if (complaints.size() > 8) {
      complaints.pop_front();
    }
  }
}

void forget_complaints() {
  const std::lock_guard lock(complaints_mutex);
  complaints.clear();
}

std::string join_complaints() {
  const std::lock_guard lock(complaints_mutex);
  // Warnings are the reason only where there is no error: they come with many a good model.
  const bool any_error = std::any_of(complaints.begin(), complaints.end(),
                                     [](const auto& one) { return one.is_error; });
  std::string all;
  for (const Complaint& one : complaints) {
    if (any_error && !one.is_error) continue;
    all += (all.empty() ? "" : "; ") + one.line;
  }
  return all.empty() ? "no reason given" : all;
}

int find_cpu_library(dl_phdr_info* info, size_t, void* out) {
  if (std::strstr(info->dlpi_name, "libggml-cpu") != nullptr) {
    *static_cast<std::string*>(out) = info->dlpi_name;
  }
  return 0;
}

// A ggml type by the engine's own name for it, such as "q8_0"; GGML_TYPE_COUNT when unknown.
ggml_type type_by_name(const std::string& name) {
  for (int id = 0; id < GGML_TYPE_COUNT; ++id) {
    const auto type = static_cast<ggml_type>(id);
    const char* type_name = ggml_type_name(type);
    if (type_name != nullptr && ggml_blck_size(type) > 0 && name == type_name) {
      return type;
    }
  }
  return GGML_TYPE_COUNT;
}

// The types to try, widest first.
std::vector<ggml_type> candidate_types(const std::string& choice, const char* key) {
  if (choice == "widest") {
    return {GGML_TYPE_F32, GGML_TYPE_F16};
  }
  const ggml_type type = type_by_name(choice);
  if (type == GGML_TYPE_COUNT) {
    bad_input("bad_setting", "this engine knows no tensor type '" + choice + "'",
              std::string("--backend-opt ") + key, "f32, f16, bf16, q8_0, ... or widest");
  }
  return {type};
}

bool has_operation(const char* name) {
  for (int op = 0; op < GGML_OP_COUNT; ++op) {
    if (std::strcmp(ggml_op_name(static_cast<ggml_op>(op)), name) == 0) return true;
  }
  return false;
}

const char* flash_name(int mode) { return mode < 0 ? "auto" : mode == 0 ? "off" : "on"; }

}  // namespace

EngineFacts start_engine() {
  llama_log_set(on_log, nullptr);
  EngineFacts facts;
  Dl_info where{};
  if (dladdr(reinterpret_cast<void*>(&llama_backend_init), &where) != 0 &&
      where.dli_fname != nullptr) {
    facts.library = where.dli_fname;
  }
  if (ggml_backend_load_all_from_path != nullptr && !facts.library.empty()) {
    // Builds with run-time CPU variants find nothing unless told where; harmless for the others.
    const std::string dir = facts.library.substr(0, facts.library.rfind('/'));
    ggml_backend_load_all_from_path(dir.c_str());
  }
  llama_backend_init();
  if (llama_version != nullptr && llama_version() != nullptr) {
    facts.version = llama_version();
  }
  facts.system_info = llama_print_system_info();
  facts.api_era = api_era<llama_model, llama_context>();
  dl_iterate_phdr(find_cpu_library, &facts.cpu_library);
  return facts;
}

Session::Session(const std::string& path, int n_threads, const Settings& settings)
    : settings_(settings), n_threads_(n_threads) {
  candidate_types(settings_.kv_type_k, "kv_type_k");  // a wrong name is told before the load
  candidate_types(settings_.kv_type_v, "kv_type_v");
  forget_complaints();
  llama_model_params params = llama_model_default_params();
  set_cpu_only(params);
  set_mmap(params, settings_.mmap);
  set_flash_attn_for_load(params, settings_.flash_attn);
  has_extra_bufts_ = set_extra_bufts(params, settings_.extra_bufts);
  params.check_tensors = settings_.check_tensors;
  model_ = load_model(path.c_str(), params);
  if (model_ == nullptr) {
    backend_failed("model_refused", "the engine refused the model: " + join_complaints(), path,
                   "use a model this engine supports, another backend, or another version of it");
  }
  n_vocab_ = llama::n_vocab(model_);
  n_ctx_train_ = llama::n_ctx_train(model_);
}

Session::~Session() {
  if (context_ != nullptr) {
    llama_free(context_);
  }
  if (model_ != nullptr) {
    free_model(model_);
  }
}

std::map<std::string, std::string> Session::settings_in_force() const {
  std::map<std::string, std::string> out;
  out["flash_attn"] = flash_name(settings_.flash_attn);
  out["extra_bufts"] = has_extra_bufts_ ? (settings_.extra_bufts ? "on" : "off") : "unavailable";
  out["mmap"] = settings_.mmap ? "on" : "off";
  out["n_gpu_layers"] = "0";
  out["warmup"] = "off";
  if (settings_.rope_freq_base > 0) {
    out["rope_freq_base"] = std::to_string(settings_.rope_freq_base);
  }
  if (settings_.rope_freq_scale > 0) {
    out["rope_freq_scale"] = std::to_string(settings_.rope_freq_scale);
  }
  if (context_ != nullptr) {
    out["kv_type_k"] = ggml_type_name(type_k_);
    out["kv_type_v"] = ggml_type_name(type_v_);
    out["n_ctx"] = std::to_string(llama_n_ctx(context_));
    out["n_batch"] = std::to_string(llama_n_batch(context_));
    out["ubatch"] = std::to_string(llama_n_ubatch(context_));
  }
  return out;
}

std::vector<llama_token> Session::tokenize(const std::string& text, const std::string& bos,
                                           bool parse_special) const {
  const bool add_special = bos != "off";
  // Most texts have at most an id a byte, and the call says how many when they have more.
  std::vector<llama_token> ids(text.size() + 8);
  int n = llama::tokenize(model_, text, ids.data(), static_cast<int>(ids.size()), add_special,
                          parse_special);
  if (n < 0 && n != INT32_MIN) {
    ids.resize(static_cast<size_t>(-static_cast<int64_t>(n)));
    n = llama::tokenize(model_, text, ids.data(), static_cast<int>(ids.size()), add_special,
                        parse_special);
  }
  if (n < 0) {
    backend_failed("tokenize_failed", "the engine could not tokenise the prompt", "tokenize",
                   "shorten the prompt, or pass ids with --tokens");
  }
  ids.resize(static_cast<size_t>(n));
  if (bos == "on" && !adds_bos(model_)) {
    const llama_token id = bos_id(model_);
    if (id < 0) {
      bad_input("no_bos", "the engine knows no BOS token for this model", "--bos on",
                "use --bos auto or --bos off");
    }
    ids.insert(ids.begin(), id);
  }
  return ids;
}

std::string Session::piece(llama_token id) const {
  if (id < 0 || id >= n_vocab_) {
    return "";
  }
  std::string out(64, '\0');
  int n = token_to_piece(model_, id, out.data(), static_cast<int>(out.size()));
  if (n < 0) {
    out.resize(static_cast<size_t>(-n));
    n = token_to_piece(model_, id, out.data(), static_cast<int>(out.size()));
  }
  out.resize(static_cast<size_t>(std::max(n, 0)));
  return out;
}

llama_context* Session::make_context(int n_ctx, ggml_type type_k, ggml_type type_v) {
  llama_context_params params = llama_context_default_params();
  const auto n = static_cast<uint32_t>(n_ctx);
  params.n_ctx = n;
  params.n_batch = n;
  params.n_ubatch = settings_.ubatch > 0 ? static_cast<uint32_t>(settings_.ubatch) : n;
  params.n_threads = n_threads_;
  params.n_threads_batch = n_threads_;
  params.type_k = type_k;
  params.type_v = type_v;
  if (settings_.rope_freq_base > 0) {
    params.rope_freq_base = settings_.rope_freq_base;
  }
  if (settings_.rope_freq_scale > 0) {
    params.rope_freq_scale = settings_.rope_freq_scale;
  }
  set_flash_attn(params, settings_.flash_attn);
  set_cpu_only_context(params);
  // Without taps it stays null: a callback may make the scheduler cut the graph at every tensor.
  params.cb_eval = has_callback_ ? Capture::on_node : nullptr;
  params.cb_eval_user_data = has_callback_ ? &capture_ : nullptr;
  return new_context(model_, params);
}

void Session::create_context(int n_ctx) {
  if (context_ != nullptr) {
    llama_free(context_);
    context_ = nullptr;
  }
  forget_complaints();
  // K and V may be refused on their own: engines of 2024 take F32 keys, but F32 values only with
  // flash attention.
  for (const ggml_type type_k : candidate_types(settings_.kv_type_k, "kv_type_k")) {
    for (const ggml_type type_v : candidate_types(settings_.kv_type_v, "kv_type_v")) {
      trying_types = true;
      context_ = make_context(n_ctx, type_k, type_v);
      trying_types = false;
      if (context_ != nullptr) {
        type_k_ = type_k;
        type_v_ = type_v;
        capacity_ = static_cast<int>(std::min(
            {static_cast<uint32_t>(n_ctx), llama_n_ctx(context_), llama_n_batch(context_)}));
        return;
      }
    }
  }
  backend_failed("context_refused",
                 "the engine refused a context of " + std::to_string(n_ctx) +
                     " ids with these settings: " + join_complaints(),
                 "reset",
                 "change --backend-opt kv_type, flash_attn or n_ctx, or use a shorter prompt");
}

std::string Session::reset(int n_ctx) {
  if (settings_.n_ctx > 0 && n_ctx > settings_.n_ctx) {
    bad_input("prompt_too_long",
              "prompt and decode need " + std::to_string(n_ctx) + " positions, the context has " +
                  std::to_string(settings_.n_ctx),
              "--backend-opt n_ctx", "raise n_ctx or leave it out: it is then sized as needed");
  }
  const int wanted = settings_.n_ctx > 0 ? settings_.n_ctx : n_ctx;
  if (context_ == nullptr || capacity_ < wanted) {
    create_context(wanted);
  } else {
    clear_kv(context_);
  }
  n_past_ = 0;
  n_rows_ = 0;
  if (n_ctx_train_ > 0 && n_ctx > n_ctx_train_) {
    return std::to_string(n_ctx) + " positions exceed the " + std::to_string(n_ctx_train_) +
           " the model was trained for";
  }
  return "";
}

void Session::check_ids(std::span<const llama_token> ids) const {
  const int n = static_cast<int>(ids.size());
  if (context_ == nullptr || n > capacity_ - n_past_) {
    bad_input("prompt_too_long",
              std::to_string(n_past_) + " + " + std::to_string(n) +
                  " ids do not fit the context of " + std::to_string(capacity_),
              "eval", "reset with a larger n_ctx first");
  }
  for (const llama_token id : ids) {
    if (id < 0 || id >= n_vocab_) {
      bad_input("token_out_of_range",
                "token id " + std::to_string(id) + " is outside the vocabulary of " +
                    std::to_string(n_vocab_),
                "eval", "pass ids from 0 to " + std::to_string(n_vocab_ - 1));
    }
  }
}

void Session::eval(std::span<const llama_token> ids, Capture::Deliver deliver) {
  check_ids(ids);
  if (!has_callback_) {
    if (n_past_ > 0) {
      backend_failed("worker_protocol", "tensors can be captured from the first eval on only",
                     "eval", "send reset first");
    }
    has_callback_ = true;
    create_context(capacity_);
  }
  // ik_llama.cpp plans no room for what experts that are not quantised multiply (ggml.c
  // `ggml_graph_plan`, GGML_OP_MOE_FUSED_UP_GATE, asks for the type of the gate in place of
  // theirs). Other operations of the same graph bring it. Captured, each is a graph of its own and
  // would write beyond its end; but room once made is kept, so a whole graph goes before.
  if (n_past_ == 0 && has_operation("MOE_FUSED_UP_GATE")) {
    eval(ids);
    clear_kv(context_);
    n_past_ = 0;
  }
  capture_.begin(std::move(deliver));
  try {
    eval(ids);
  } catch (...) {
    capture_.end();
    throw;
  }
  capture_.end();
}

void Session::eval(std::span<const llama_token> ids) {
  check_ids(ids);
  const int n = static_cast<int>(ids.size());
  n_rows_ = 0;
  forget_complaints();
  llama_batch batch = llama_batch_init(n, 0, 1);
  batch.n_tokens = n;
  for (int i = 0; i < n; ++i) {
    batch.token[i] = ids[static_cast<size_t>(i)];
    batch.pos[i] = n_past_ + i;
    batch.n_seq_id[i] = 1;
    batch.seq_id[i][0] = 0;
    batch.logits[i] = 1;
  }
  const int status = llama_decode(context_, batch);
  llama_batch_free(batch);
  if (status != 0) {
    backend_failed(
        "eval_failed",
        "the engine failed with code " + std::to_string(status) + ": " + join_complaints(),
        "eval of " + std::to_string(n) + " ids", "see its log with --verbose");
  }
  n_past_ += n;
  n_rows_ = n;
}

const float* Session::logits_row(int row) const {
  const float* logits = llama_get_logits_ith(context_, row);
  if (logits == nullptr) {
    backend_failed("no_logits", "the engine gave no logits for row " + std::to_string(row),
                   "logits", "see its log with --verbose");
  }
  return logits;
}

}  // namespace crossval::llama
