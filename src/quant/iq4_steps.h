// The 16 uneven steps of IQ4_NL and IQ4_XS (ggml-common.h `kvalues_iq4nl`).
#pragma once

namespace crossval {

inline constexpr int kIq4Steps[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                      1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace crossval
