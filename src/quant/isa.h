// Which instruction set the kernels use: the best one this CPU and OS have, or the one named by the
// environment variable CROSSVAL_ISA. Results are the same bits on every one of them.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace crossval {

// In ascending order of preference.
enum class Isa { scalar, avx2, avx2vnni, avx512, avx512vnni };

std::string_view isa_name(Isa isa);  // as CROSSVAL_ISA spells it
bool cpu_has(Isa isa);
std::span<const Isa> all_isas();  // ascending

// What the kernels run on, decided at the first call: the best ISA of this CPU (at most
// CROSSVAL_ISA's) whose kernels pass a self-test against the scalar reference. Throws bad_input
// when CROSSVAL_ISA names something unknown or something this CPU lacks.
Isa active_isa();

// Empty, or why a better ISA was not taken: "avx512vnni failed its self-test (...)".
const std::string& isa_note();

}  // namespace crossval
