// Detects instruction sets (compiler built-ins, which also ask the OS whether it saves the wider
// registers) and picks one. AMX is never used.
#include "quant/isa.h"

#include <array>
#include <cstdlib>

#include "base/cpu.h"
#include "base/error.h"
#include "quant/kernels.h"
#include "quant/kernels_check.h"

namespace crossval {
namespace {

constexpr std::array kAll = {Isa::scalar, Isa::avx2, Isa::avx2vnni, Isa::avx512, Isa::avx512vnni};
constexpr std::array<std::string_view, kAll.size()> kNames = {"scalar", "avx2", "avx2vnni",
                                                              "avx512", "avx512vnni"};
constexpr const char* kVariable = "CROSSVAL_ISA";

#if defined(__x86_64__)
bool has_avx2() { return cpu_has_f16c() && cpu_has_avx2_fma(); }

bool has_avx512() {
  return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}

// AVX-VNNI (the 256-bit VEX form): CPUID leaf 7, sub-leaf 1, EAX bit 4; gcc 12 has no name for it.
bool has_avx_vnni() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  return has_avx2() && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax >> 4 & 1) != 0;
}
#endif

struct Choice {
  Isa isa = Isa::scalar;
  std::string note;
};

std::string names_of_this_cpu() {
  std::string names;
  for (const Isa isa : kAll) {
    if (cpu_has(isa)) names += (names.empty() ? "" : ", ") + std::string(isa_name(isa));
  }
  return names;
}

Choice choose() {
  Isa best = Isa::avx512vnni;
  if (const char* wanted = std::getenv(kVariable); wanted != nullptr && *wanted != '\0') {
    bool known = false;
    for (const Isa isa : kAll) {
      if (isa_name(isa) != wanted) continue;
      known = true;
      best = isa;
    }
    if (!known || !cpu_has(best)) {
      bad_input("bad_isa",
                std::string(known ? "This CPU lacks the instruction set " : "No instruction set ") +
                    wanted,
                kVariable, "Use one of: " + names_of_this_cpu() + "; or unset it");
    }
  }
  Choice choice;
  for (int i = static_cast<int>(best); i > 0; --i) {
    const Isa isa = kAll[static_cast<size_t>(i)];
    if (!cpu_has(isa)) continue;
    const std::string fault = check_kernels(kernels_of(isa));
    if (fault.empty()) {
      choice.isa = isa;
      return choice;
    }
    choice.note += std::string(choice.note.empty() ? "" : "; ") + std::string(isa_name(isa)) +
                   " failed its self-test (" + fault + ")";
  }
  return choice;
}

const Choice& choice() {
  static const Choice made = choose();
  return made;
}

}  // namespace

std::string_view isa_name(Isa isa) { return kNames[static_cast<size_t>(isa)]; }

bool cpu_has(Isa isa) {
  switch (isa) {
    case Isa::scalar:
      return true;
#if defined(__x86_64__)
    case Isa::avx2:
      return has_avx2();
    case Isa::avx2vnni:
      return has_avx_vnni();
    case Isa::avx512:
      return has_avx512();
    case Isa::avx512vnni:
      return has_avx512() && __builtin_cpu_supports("avx512vnni");
#endif
    default:
      return false;
  }
}

std::span<const Isa> all_isas() { return kAll; }

Isa active_isa() { return choice().isa; }

const std::string& isa_note() { return choice().note; }

const Kernels& kernels_of(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::avx2:
      return avx2_kernels();
    case Isa::avx2vnni:
      return avx2vnni_kernels();
    case Isa::avx512:
      return avx512_kernels();
    case Isa::avx512vnni:
      return avx512vnni_kernels();
#endif
    default:
      return scalar_kernels();
  }
}

const Kernels& active_kernels() {
  static const Kernels& kernels = kernels_of(active_isa());
  return kernels;
}

}  // namespace crossval
