// No fault at all: the same weights in another file, or the same file under another setting of the
// engine. Whatever trace says against one of these is a false alarm.
#include "faults/fault.h"

namespace crossval::testing {
namespace {

bool always(const ModelInfo&, const ModelEdit&) { return true; }

Expectation agree(std::vector<std::string> flags = {}) {
  return {.exit_code = 0, .flags = std::move(flags)};
}

// What llama.cpp of 2024 knows.
bool is_old_arch(const ModelInfo& info, const ModelEdit& model) {
  return (info.arch == "llama" || info.arch == "bitnet" || info.arch == "qwen2") &&
         info.matrix_type != GgmlType::TQ2_0 && info.is_dense &&
         !model.original().tensors().empty();
}

}  // namespace

std::span<const Fault> clean_pairs() {
  constexpr Group group = Group::clean;
  static const Fault table[] = {
      {"same_file", group, true, always, [](const FaultSite&) { return agree(); }},
      {"reordered", group, true, always,
       [](const FaultSite& site) {
         for (const char* name : {"attn_v", "attn_k", "ffn_norm"}) {
           site.bad.move_to_front(blk(site.info.n_layers - 1, name));
         }
         return agree();
       }},
      {"alignment_128", group, false, always,
       [](const FaultSite& site) {
         site.bad.metadata().set_alignment(128);
         return agree();
       }},
      {"extra_keys", group, false, always,
       [](const FaultSite& site) {
         site.bad.metadata().set_string("general.description", "another copy");
         site.bad.metadata().set_u32(site.info.key("crossval.unheard_of"), 7);
         return agree();
       }},
      {"threads_2", group, true, always,
       [](const FaultSite&) {
         return agree({"--threads", "2"});
       }},
      {"ubatch_8", group, true, always,
       [](const FaultSite&) {
         return agree({"--backend-opt", "ubatch=8"});
       }},
      {"flash_attn", group, true, always,
       [](const FaultSite&) {
         return agree({"--backend-opt", "flash_attn=on"});
       }},
      {"kv_f16", group, true, always,
       [](const FaultSite&) {
         return agree({"--backend-opt", "kv_type=f16"});
       }},
      {"flash_attn_kv_f16", group, false, always,
       [](const FaultSite&) {
         return agree({"--backend-opt", "flash_attn=on", "--backend-opt", "kv_type=f16"});
       }},
      {"extra_bufts", group, false, always,
       [](const FaultSite&) {
         return agree({"--backend-opt", "extra_bufts=on"});
       }},
      {"engine_of_2024", group, false, is_old_arch,
       [](const FaultSite&) {
         Expectation expected = agree();
         expected.engine = "llama-b3889";
         return expected;
       }},
  };
  return table;
}

}  // namespace crossval::testing
